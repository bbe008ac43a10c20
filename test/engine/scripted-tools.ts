import {
  type CodeInterpreterCall,
  type CodeInterpreterOutput,
  type FileSearchCall,
  type HostedTools,
  NO_TOOLS,
} from '../../src/tools/tool.ts';

/** What a test has its tools do, in place of a search and of a sandbox. */
export interface ToolScript {
  /** What is found for a query; throws to fail. */
  search?(query: string, signal: AbortSignal): Promise<string[]> | string[];
  /** Runs code; throws to fail. */
  run?(code: string, report: (output: CodeInterpreterOutput) => void, signal: AbortSignal): Promise<void> | void;
}

const schema = (name: string) => ({ type: 'object', properties: { [name]: { type: 'string' } }, required: [name] });

/** The two hosted tools as a test has scripted them; what it has not scripted the server does not have. */
export function scriptedTools({ search, run }: ToolScript): HostedTools {
  return {
    ...NO_TOOLS,
    fileSearch: search
      ? {
          type: 'fileSearch',
          definition: { name: 'file_search', description: 'Searches', parameters: schema('query') },
          repeatable: true,
          async run(call, _place, _report, signal): Promise<FileSearchCall> {
            const { query } = JSON.parse(call.arguments) as { query: string };
            const texts = await search(query, signal);
            signal.throwIfAborted();
            const results = texts.map((text) => ({
              fileId: 'file_1',
              filename: 'a.md',
              score: 1,
              text,
              location: null,
              attributes: null,
            }));
            return { ...call, status: 'COMPLETED', queries: [query], results };
          },
          answer: ({ results, failure }) => failure ?? results.map(({ text }) => text).join('\n'),
        }
      : null,
    codeInterpreter: run
      ? {
          type: 'codeInterpreter',
          definition: { name: 'code_interpreter', description: 'Runs Python', parameters: schema('code') },
          repeatable: false,
          async run(call, _place, report, signal): Promise<CodeInterpreterCall> {
            const { code } = JSON.parse(call.arguments) as { code: string };
            const outputs: CodeInterpreterOutput[] = [];
            await run(
              code,
              (output) => {
                const last = outputs.at(-1);
                if (output.type === 'logs' && last?.type === 'logs') {
                  outputs[outputs.length - 1] = { type: 'logs', logs: last.logs + output.logs };
                } else outputs.push(output);
                report(output);
              },
              signal,
            );
            signal.throwIfAborted();
            return { ...call, status: 'COMPLETED', input: code, outputs };
          },
          answer: ({ outputs, failure }) =>
            failure ?? outputs.map((output) => (output.type === 'logs' ? output.logs : '[image]')).join(''),
        }
      : null,
  };
}
