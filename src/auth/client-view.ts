/**
 * What client tokens see of the graph, and what they may pass to it: `Type` → its fields. What does not stand here is
 * FORBIDDEN to them. What does is read within their threads alone (`clients` in src/graphql/load.ts).
 */
export const CLIENT_VIEW: Readonly<Record<string, string>> = {
  // Roots that need READ.
  Query: 'node nodes thread threads run runs',
  Subscription: 'runEvents threadEvents threads',
  // Roots that need RUN.
  Mutation: 'startRun cancelRun submitToolOutputs',

  // Of a run they say where, who, what is said and whether to wait: not what the assistant is, nor anything in its name.
  StartRunInput: 'assistantId threadId additionalMessages ifBusy idempotencyKey',
  MessageInput: 'role content',
  MessageContentInput: 'text imageUrl',
  ImageUrlInput: 'url detail',
  CancelRunInput: 'runId',
  SubmitToolOutputsInput: 'runId toolOutputs',
  ToolOutputInput: 'toolCallId output',
  ThreadFilter: 'search metadata',
  RunFilter: 'status assistantId threadId',

  Thread: 'id title metadata messages runs activeRun usage cursor createdAt updatedAt',
  Message: `id thread role status content text attachments assistant run runId incompleteDetails metadata
    createdAt completedAt incompleteAt`,
  // Who speaks, and nothing of how it was told to.
  Assistant: 'id name description',
  Run: `id thread assistant assistantId status requiredAction lastError incompleteDetails model instructions usage
    attempt steps messages cursor createdAt startedAt expiresAt completedAt cancelledAt failedAt`,
  RunStep: `id run runId type status details usage lastError droppedMessages
    createdAt completedAt cancelledAt failedAt expiredAt`,
  File: 'id filename bytes contentType sha256 purpose createdAt expiresAt url',

  TextContent: 'value annotations',
  RefusalContent: 'value',
  ImageFileContent: 'file fileId detail',
  ImageUrlContent: 'url detail',
  Attachment: 'file fileId tools',
  FileCitation: 'text startIndex endIndex file fileId quote location source score',
  FilePath: 'text startIndex endIndex file fileId',
  SourceLocation: 'startIndex endIndex page startLine endLine headingPath',
  CitationSource: 'text quoteIndex startIndex endIndex',
  MessageIncompleteDetails: 'reason',

  RequiredAction: 'toolCalls',
  RunError: 'code message',
  RunIncompleteDetails: 'reason',
  Usage: 'promptTokens completionTokens totalTokens cachedTokens reasoningTokens',
  MessageCreationDetails: 'message messageId',
  ToolCallsDetails: 'toolCalls',
  FunctionToolCall: 'id status name arguments output',
  CodeInterpreterToolCall: 'id status input outputs',
  CodeInterpreterLogs: 'logs',
  CodeInterpreterImage: 'file fileId',
  // What was found shows; only what was cited of it can be opened.
  FileSearchToolCall: 'id status queries results rankingOptions',
  FileSearchResult: 'fileId filename score text location',
  RankingOptions: 'scoreThreshold',

  MessageConnection: 'edges nodes pageInfo',
  MessageEdge: 'cursor node',
  RunConnection: 'edges nodes pageInfo',
  RunEdge: 'cursor node',
  RunStepConnection: 'edges nodes pageInfo',
  RunStepEdge: 'cursor node',
  ThreadConnection: 'edges nodes pageInfo',
  ThreadEdge: 'cursor node',
  PageInfo: 'hasNextPage hasPreviousPage startCursor endCursor',

  RunSnapshot: 'cursor at run',
  ThreadSnapshot: 'cursor at thread',
  RunStatusChanged: 'cursor at run status',
  RunStepCreated: 'cursor at step',
  RunStepDelta: 'cursor at stepId toolCalls',
  RunStepFinished: 'cursor at step',
  MessageCreated: 'cursor at message',
  MessageDelta: 'cursor at messageId content',
  MessageFinished: 'cursor at message',
  MessageDeleted: 'cursor at messageId',
  ThreadDeleted: 'cursor at threadId',
  TextDelta: 'index offset value annotations',
  RefusalDelta: 'index offset value',
  ImageFileDelta: 'index file fileId',
  FunctionToolCallDelta: 'index id name offset arguments',
  CodeInterpreterToolCallDelta: 'index id offset input logs image imageFileId ended',
  FileSearchToolCallDelta: 'index id ended',
  ThreadListEvent: 'at threadId thread',

  StartRunPayload: 'run userErrors',
  CancelRunPayload: 'run userErrors',
  SubmitToolOutputsPayload: 'run userErrors',
  InvalidInputError: 'code message path',
  NotFoundError: 'code message path id',
  ThreadBusyError: 'code message path activeRun',
  WrongRunStatusError: 'code message path status',
  QuotaExceededError: 'code message path',
  ConflictError: 'code message path',
  UnsupportedFileError: 'code message path',
};
