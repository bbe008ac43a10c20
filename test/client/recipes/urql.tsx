// With urql: your own operations beside the hooks, on one normalised cache. What a mutation of yours changes is new
// wherever it is shown.
import { AssistantsDocument, UpdateAssistantDocument } from 'skein/client';
import { useMutation, useQuery } from 'urql';

export function Assistants() {
  const [{ data, error }] = useQuery({ query: AssistantsDocument, variables: { first: 10 } });
  const [{ data: changed }, update] = useMutation(UpdateAssistantDocument);
  if (error) return <p role="alert">{error.message}</p>;
  return (
    <ul>
      {data?.assistants.nodes.map(({ id, name, model }) => (
        <li key={id}>
          {name} ({model})
          <button onClick={() => void update({ input: { assistantId: id, name: `${name}, renamed` } })}>Rename</button>
        </li>
      ))}
      {changed?.updateAssistant.userErrors.map(({ message }) => <li key={message}>{message}</li>)}
    </ul>
  );
}
