import { Code2, Plus, Search } from 'lucide-react';
import { useDeferredValue, useEffect, useState } from 'react';
import { AssistantDocument, type AssistantPartsFragment, AssistantsDocument, ViewerDocument } from 'skein/client';
import { useQuery } from 'urql';
import { Button } from '../parts/button.tsx';
import listStyles from '../parts/list-link.module.css';
import { countInWords } from '../parts/in-words.ts';
import { Notice } from '../parts/notice.tsx';
import { PagedList } from '../parts/paged-list.tsx';
import { PageHeader } from '../parts/page-header.tsx';
import { reasonOf } from '../parts/reason.ts';
import { SplitView } from '../parts/split-view.tsx';
import viewStyles from '../parts/view.module.css';
import { go, hrefOf } from '../route.ts';
import { AssistantForm } from './assistant-form.tsx';
import { nameOf } from './chosen-assistant.ts';

/** In the address, where one is to be made. No id looks like it. */
const NEW = 'new';
const ALL = { view: 'assistants', assistantId: null } as const;

/** The project's assistants, and one of them to be changed. */
export function AssistantsView({ assistantId }: { assistantId: string | null }) {
  const [justMade, setJustMade] = useState<string | null>(null);
  const made = (id: string) => {
    setJustMade(id);
    go({ view: 'assistants', assistantId: id });
  };
  return (
    <div className={viewStyles.view}>
      <PageHeader title="Assistants">
        <Button icon={<Plus size={16} />} onClick={() => go({ view: 'assistants', assistantId: NEW })}>
          New assistant
        </Button>
      </PageHeader>
      <SplitView
        chosen={assistantId}
        list={<AssistantList chosen={assistantId} />}
        listLabel="All assistants"
        detailLabel="Assistant"
        back={ALL}
        backWords="All assistants"
      >
        {assistantId === null ? (
          <p className={listStyles.none}>Choose an assistant to change it, or make a new one.</p>
        ) : (
          <Editor key={assistantId} assistantId={assistantId} justMade={justMade === assistantId} seen={() => setJustMade(null)} made={made} />
        )}
      </SplitView>
    </div>
  );
}

function AssistantList({ chosen }: { chosen: string | null }) {
  const [search, setSearch] = useState('');
  const wanted = useDeferredValue(search.trim());
  return (
    <>
      <input
        type="search"
        className={listStyles.search}
        placeholder="Search assistants"
        aria-label="Search assistants"
        value={search}
        onChange={({ target }) => setSearch(target.value)}
      />
      <PagedList
        key={wanted}
        label="Assistants"
        query={AssistantsDocument}
        variables={{ search: wanted === '' ? null : wanted }}
        pageOf={({ assistants }) => assistants}
        empty={wanted === '' ? 'There is none yet.' : 'None has these words in its name or description.'}
        more="Older assistants"
      >
        {(assistant) => <AssistantLink assistant={assistant} current={assistant.id === chosen} />}
      </PagedList>
    </>
  );
}

function AssistantLink({ assistant, current }: { assistant: AssistantPartsFragment; current: boolean }) {
  const { id, model, tools } = assistant;
  const functions = tools.filter((tool) => tool.__typename === 'FunctionTool').length;
  const has = (typename: string) => tools.some((tool) => tool.__typename === typename);
  return (
    <a className={listStyles.link} href={hrefOf({ view: 'assistants', assistantId: id })} aria-current={current ? 'page' : undefined}>
      <span className={listStyles.name}>{nameOf(assistant)}</span>
      <span className={listStyles.about}>
        {model}
        {has('CodeInterpreterTool') && <Code2 size={14} role="img" aria-label="Code interpreter" />}
        {has('FileSearchTool') && <Search size={14} role="img" aria-label="File search" />}
        {functions > 0 && <span>{countInWords(functions, 'function')}</span>}
      </span>
    </a>
  );
}

interface EditorProps {
  assistantId: string;
  justMade: boolean;
  /** That it was made is said once. */
  seen(): void;
  made(id: string): void;
}

function Editor({ assistantId, justMade, seen, made }: EditorProps) {
  const isNew = assistantId === NEW;
  const [server] = useQuery({ query: ViewerDocument });
  const [{ data, error }] = useQuery({ query: AssistantDocument, variables: { id: assistantId }, pause: isNew });
  const assistant = data?.assistant ?? null;
  const told = justMade && assistant !== null;
  useEffect(() => {
    if (told) seen();
  }, [told]);
  if (error) return <Notice kind="danger">{reasonOf(error)}</Notice>;
  if (server.fetching || (!isNew && !data)) return <p className={listStyles.none}>Loading…</p>;
  if (!isNew && !assistant) return <p className={listStyles.none}>There is no assistant with this id. It may have been deleted.</p>;
  return (
    <AssistantForm
      assistant={assistant}
      viewer={server.data?.viewer ?? null}
      models={server.data?.models ?? []}
      modelsProblem={server.error ? reasonOf(server.error) : null}
      justMade={justMade}
      made={made}
      deleted={() => go(ALL)}
    />
  );
}
