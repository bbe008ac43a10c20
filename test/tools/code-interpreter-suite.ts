import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { conversationOf, emptyConversation, fold } from '../../src/client/fold.ts';
import { FileWithLinkDocument, FollowRunDocument, RunDetailsDocument } from '../../src/generated/graphql/graphql.ts';
import { bodies, calls, openStage, type RunDetails, says, type Stage } from '../engine/stage.ts';
import { newFile } from '../files/stage.ts';

/** What one kind of box is to do in a task. */
export interface Task {
  driver: 'pyodide' | 'bubblewrap';
  /** Reads /mnt/data/sales.csv, prints the months, and leaves /mnt/data/monthly.xlsx. */
  code: string;
  /** Whether a chart comes out of it. */
  draws: boolean;
}

const CODE = { codeInterpreter: {} };
const SALES = ['date,amount', '2026-01-03,10', '2026-01-20,5', '2026-02-01,7', '2026-03-09,1', '2026-03-30,2'].join('\n');

const python = (code: string) => ({ name: 'code_interpreter', arguments: JSON.stringify({ code }) });

const codeCalls = (run: RunDetails) =>
  run.steps.nodes.flatMap(({ details }) =>
    details.__typename === 'ToolCallsDetails'
      ? details.toolCalls.filter((call) => call.__typename === 'CodeInterpreterToolCall')
      : [],
  );
const logsOf = (call: ReturnType<typeof codeCalls>[number]): string =>
  call.outputs.map((output) => (output.__typename === 'CodeInterpreterLogs' ? output.logs : '')).join('');

/** Real code in a real box, asked for by a scripted model and seen through the graph. */
export function describeCodeInterpreter({ driver, code, draws }: Task): void {
  describe(`the code interpreter with ${driver}`, { timeout: 240_000 }, () => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await openStage({ SANDBOX_DRIVER: driver });
    }, 240_000);
    afterAll(() => stage.close());
    beforeEach(() => {
      stage.scenes.length = 0;
      stage.model.requests.length = 0;
    });

    const download = async (id: string): Promise<Buffer> => {
      const { file } = await stage.app.query(FileWithLinkDocument, { id });
      const response = await fetch(file!.url);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-disposition')).toContain('attachment');
      return Buffer.from(await response.arrayBuffer());
    };
    const toolMessageOf = ({ model }: Stage, nth: number): string =>
      bodies(model)[nth]!.messages.findLast((message: { role: string }) => message.role === 'tool').content;
    const toolMessage = (nth: number): string => toolMessageOf(stage, nth);

    test('does a task: reads a table, shows its work, and hands a file back that the answer links', async () => {
      const { id: fileId } = await newFile(stage.app, SALES, 'sales.csv');
      stage.scenes.push(
        calls([python(code)]),
        says(['Here is [the table](sandbox:/mnt/', 'data/monthly.xlsx), as you asked.']),
      );
      const message = {
        content: [{ text: 'A monthly chart, and an Excel file, please.' }],
        attachments: [{ fileId, tools: ['CODE_INTERPRETER' as const] }],
      };
      const { runId, cursor } = await stage.start({ tools: [CODE], thread: { messages: [message] } });
      let state: ReturnType<typeof emptyConversation> = { ...emptyConversation(), cursor };
      for await (const { runEvents } of stage.app.follow(FollowRunDocument, { runId, after: cursor })) {
        state = fold(state, runEvents);
      }
      const run = await stage.details(runId);
      expect(run).toMatchObject({ status: 'COMPLETED', lastError: null });
      const [call] = codeCalls(run);
      expect(call).toMatchObject({ status: 'COMPLETED', input: code });
      expect(logsOf(call!)).toContain('2026-01');
      const images = call!.outputs.flatMap((output) => (output.__typename === 'CodeInterpreterImage' ? [output.fileId] : []));
      expect(images).toHaveLength(draws ? 1 : 0);
      for (const image of images) {
        expect((await download(image)).subarray(1, 4).toString()).toBe('PNG');
      }
      const [said] = run.messages.nodes;
      expect(said!.content.slice(0, -1).map((part) => 'fileId' in part && part.fileId)).toEqual(images);
      const text = said!.content.at(-1)!;
      const [link] = text.__typename === 'TextContent' ? text.annotations : [];
      expect(link).toMatchObject({ __typename: 'FilePath', text: 'sandbox:/mnt/data/monthly.xlsx' });
      expect(said!.text.slice(link!.startIndex, link!.endIndex)).toBe(link!.text);
      const sheet = await download((link as { fileId: string }).fileId);
      expect(sheet.subarray(0, 2).toString()).toBe('PK');
      expect(toolMessage(1)).toContain('sandbox:/mnt/data/monthly.xlsx');
      const stored = conversationOf(await stage.app.query(RunDetailsDocument, { id: runId }))!;
      expect(state.runs[0]!.steps).toEqual(stored.runs[0]!.steps);
      expect(state.messages).toEqual(stored.messages);
    });

    test('keeps variables for the thread from one run to the next, and for no other thread', async () => {
      stage.scenes.push(calls([python('kept = 41')]), says('Kept.'));
      const { runId, threadId } = await stage.start({ tools: [CODE] });
      await stage.follow(runId);
      stage.scenes.push(calls([python('kept + 1')]), says('42.'));
      const again = await stage.start({ tools: [CODE], threadId });
      await stage.follow(again.runId);
      expect(logsOf(codeCalls(await stage.details(again.runId))[0]!)).toContain('42');
      stage.scenes.push(calls([python('kept')]), says('No.'));
      const other = await stage.perform({ tools: [CODE] });
      expect(codeCalls(other)[0]).toMatchObject({ status: 'FAILED' });
      expect(logsOf(codeCalls(other)[0]!)).toContain("name 'kept' is not defined");
      expect(other.status).toBe('COMPLETED');
    });

    test('brings each file once, so that what the code makes of it stays, and those that are attached later too', async () => {
      const attach = async (text: string, filename: string) => {
        const { id: fileId } = await newFile(stage.app, text, filename);
        return { content: [{ text: 'Here.' }], attachments: [{ fileId, tools: ['CODE_INTERPRETER' as const] }] };
      };
      const more = python("with open('/mnt/data/notes.txt', 'a') as f: f.write('more\\n')");
      const reads = python("print(open('/mnt/data/notes.txt').read(), open('/mnt/data/notes-2.txt').read())");
      stage.scenes.push(calls([more, more]), says('Done.'), calls([reads]), says('Read.'));
      const message = await attach('one\n', 'notes.txt');
      const { runId, threadId } = await stage.start({ tools: [CODE], thread: { messages: [message] } });
      await stage.follow(runId);
      const later = await attach('later\n', 'notes.txt');
      const again = await stage.start({ tools: [CODE], threadId, additionalMessages: [later] });
      await stage.follow(again.runId);
      expect(logsOf(codeCalls(await stage.details(again.runId))[0]!)).toBe('one\nmore\nmore\n later\n\n');
    });

    test('tells the model that its variables are gone with the process that had them, once', async () => {
      const { id: fileId } = await newFile(stage.app, 'input', 'in.txt');
      const message = { content: [{ text: 'Go.' }], attachments: [{ fileId, tools: ['CODE_INTERPRETER' as const] }] };
      stage.scenes.push(calls([python('kept = 41')]), says('Kept.'));
      const { runId, threadId } = await stage.start({ tools: [CODE], thread: { messages: [message] } });
      await stage.follow(runId);
      expect(toolMessage(1)).toBe('(no output)');
      await stage.app.restart();
      const next = async (code: string): Promise<string> => {
        stage.scenes.push(calls([python(code)]), says('So.'));
        const { runId } = await stage.start({ tools: [CODE], threadId });
        await stage.follow(runId);
        return logsOf(codeCalls(await stage.details(runId))[0]!);
      };
      const logs = await next("print(open('/mnt/data/in.txt').read(), 'kept' in globals())");
      expect(logs).toBe('input False\n[The earlier Python session was closed: its variables and files are gone.]\n');
      expect(await next("print('kept' in globals())")).toBe('False\n');
    });

    test('prints and hands out no more than it may, and says what could not be kept', async () => {
      const limits = { SANDBOX_DISK_MB: '8', SANDBOX_OUTPUT_KB: '1', MAX_PROJECT_FILE_BYTES: '4000000' };
      const small = await openStage({ SANDBOX_DRIVER: driver, ...limits });
      try {
        // Without blocks of their own: together they are larger than the disk.
        const code = "for i in range(10):\n    with open(f'/mnt/data/{i}.bin', 'wb') as f: f.truncate(3 << 20)";
        small.scenes.push(calls([python("while True: print('x' * 99)")]), says('So much.'));
        const [loud] = codeCalls(await small.perform({ tools: [CODE] }));
        expect(loud).toMatchObject({ status: 'LIMIT_EXCEEDED' });
        expect(logsOf(loud!).length).toBeLessThan(2000);
        expect(toolMessageOf(small, 1)).toContain('printed more than 8 KiB');
        small.scenes.push(calls([python(code)]), says('Done.'));
        const [call] = codeCalls(await small.perform({ tools: [CODE] }));
        expect(call).toMatchObject({ status: 'COMPLETED' });
        const told = toolMessageOf(small, 3);
        expect(told).toContain('8 files were too many or too large to be handed out.');
        expect(told).toMatch(/could not be kept: .*MAX_PROJECT_FILE_BYTES/);
        expect(told.match(/sandbox:\/mnt\/data\/\d\.bin/g)).toHaveLength(1);
      } finally {
        await small.close();
      }
    });

    test('interrupts the code of a run that is cancelled, within a second', async () => {
      stage.scenes.push(calls([python('print("begun", flush=True)\nwhile True: pass')]));
      const { runId, cursor } = await stage.start({ tools: [CODE] });
      await stage.follow(
        runId,
        (event) =>
          event.__typename === 'RunStepDelta' &&
          event.toolCalls.some((part) => part.__typename === 'CodeInterpreterToolCallDelta' && part.logs !== null),
      );
      const asked = performance.now();
      await stage.cancel(runId);
      for await (const { runEvents: _ } of stage.app.follow(FollowRunDocument, { runId, after: cursor })) {
        // to its end
      }
      const ms = performance.now() - asked;
      console.log(`${driver}: cancel → code stopped and run over: ${ms.toFixed(0)} ms`);
      expect(ms).toBeLessThan(5000);
      const run = await stage.details(runId);
      expect(run.status).toBe('CANCELLED');
      expect(codeCalls(run)[0]).toMatchObject({ status: 'CANCELLED', outputs: [{ logs: expect.stringContaining('begun') }] });
    });

    test('says which limit was met, and the run goes on', async () => {
      stage.scenes.push(calls([python('import time\ntime.sleep(60)')]), says('It took too long.'));
      const run = await stage.perform({ tools: [{ codeInterpreter: { timeoutSeconds: 1 } }] });
      expect(run.status).toBe('COMPLETED');
      expect(codeCalls(run)[0]).toMatchObject({ status: 'TIMED_OUT' });
      expect(toolMessage(1)).toMatch(/1 s|second/);
    });
  });
}
