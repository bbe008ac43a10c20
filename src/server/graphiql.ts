import { renderGraphiQL } from '@graphql-yoga/render-graphiql';

export function graphiqlPage(endpoint: string): { html: string; headers: Record<string, string> } {
  return { html: renderGraphiQL({ endpoint, subscriptionsProtocol: 'GRAPHQL_WS' } as never), headers: {} };
}
