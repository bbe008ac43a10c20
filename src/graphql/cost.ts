import { createComplexityRule } from '@pothos/plugin-complexity';
import { type ExecutionArgs, type GraphQLError, validate } from 'graphql';
import { RequestError } from './errors.ts';

/** What one operation may ask for, before anything of it is done (the rows it reads are bounded as well, see load.ts). */
export const COST_LIMITS = { complexity: 1_000_000, depth: 25, breadth: 2000 };

type Cost = typeof COST_LIMITS;

export const overCost = (cost: Cost): RequestError =>
  new RequestError(
    'OVER_COST',
    `The operation is too large: cost ${cost.complexity} of ${COST_LIMITS.complexity}, depth ${cost.depth} of ` +
      `${COST_LIMITS.depth}, breadth ${cost.breadth} of ${COST_LIMITS.breadth}. Ask for smaller pages or fewer levels.`,
  );

/** Queries and mutations are checked by their root fields' resolvers; a subscription's would run for every event. */
export function costErrors({
  schema,
  document,
  variableValues,
  operationName,
  contextValue,
}: ExecutionArgs): readonly GraphQLError[] {
  const rule = createComplexityRule({
    context: contextValue as object,
    variableValues: { ...variableValues },
    operationName,
    validate: (cost, report) => {
      if ((Object.keys(COST_LIMITS) as (keyof Cost)[]).some((part) => cost[part] > COST_LIMITS[part]))
        report(overCost(cost));
    },
  });
  return validate(schema, document, [rule]);
}
