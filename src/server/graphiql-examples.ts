/** What GraphiQL's tabs hold at first: from a key to an answer that is seen coming, in four steps. */
export const GRAPHIQL_EXAMPLES: readonly { query: string; variables?: string }[] = [
  {
    query: `# Who asks, and what the server is made of. Ctrl-Enter runs it; the tabs to the right go on from here.
query Viewer {
  viewer {
    project {
      id
      name
    }
    scopes
    version
    modelServer {
      driver
      detail
    }
    database {
      driver
      detail
    }
  }
  models {
    id
  }
}
`,
  },
  {
    query: `# Who shall answer. Any model that the query Viewer lists.
mutation CreateAssistant($input: CreateAssistantInput!) {
  createAssistant(input: $input) {
    assistant {
      id
      name
      model
    }
    userErrors {
      code
      message
      path
    }
  }
}
`,
    variables: `{
  "input": {
    "name": "First",
    "model": "offline",
    "instructions": "Be brief."
  }
}
`,
  },
  {
    query: `# Asks in a new thread. Put the assistant's id into the variables.
mutation StartRun($input: StartRunInput!) {
  startRun(input: $input) {
    run {
      id
      status
      thread {
        id
      }
    }
    userErrors {
      code
      message
      path
    }
  }
}
`,
    variables: `{
  "input": {
    "assistantId": "",
    "thread": {
      "messages": [{ "content": [{ "text": "Write 50 words" }] }]
    }
  }
}
`,
  },
  {
    query: `# The run as it happens, from where it is now. Put its id into the variables.
subscription FollowRun($runId: ID!, $after: String) {
  runEvents(runId: $runId, after: $after) {
    __typename
    cursor
    ... on RunSnapshot {
      run {
        status
        messages(first: 10) {
          nodes {
            text
          }
        }
      }
    }
    ... on RunStatusChanged {
      status
    }
    ... on MessageDelta {
      content {
        ... on TextDelta {
          offset
          value
        }
      }
    }
    ... on MessageFinished {
      message {
        text
      }
    }
  }
}
`,
    variables: `{
  "runId": ""
}
`,
  },
];
