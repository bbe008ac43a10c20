import {
  CancelRunDocument,
  type CancelRunInput,
  type CancelRunMutation,
  SubmitToolOutputsDocument,
  type SubmitToolOutputsInput,
  type SubmitToolOutputsMutation,
} from '../../generated/graphql/graphql.ts';
import { type Action, useAction } from './use-action.ts';

export type CancelledRun = NonNullable<CancelRunMutation['cancelRun']['run']>;
export type AnsweredRun = NonNullable<SubmitToolOutputsMutation['submitToolOutputs']['run']>;

/** Cancels runs. What a run has said so far stays. */
export const useCancelRun = (): Action<CancelRunInput, CancelledRun> =>
  useAction(
    CancelRunDocument,
    ({ cancelRun }) => cancelRun,
    ({ run }) => run,
  );

/** Answers the function calls of a run in REQUIRES_ACTION: all of them at once. */
export const useSubmitToolOutputs = (): Action<SubmitToolOutputsInput, AnsweredRun> =>
  useAction(
    SubmitToolOutputsDocument,
    ({ submitToolOutputs }) => submitToolOutputs,
    ({ run }) => run,
  );
