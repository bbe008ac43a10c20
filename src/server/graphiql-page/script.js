/* Runs in the browser, behind GraphiQL's own script. The key lives in this tab: in this closure and in its session. */
(() => {
  'use strict';
  const { endpoint, tabs } = JSON.parse(document.getElementById('skein-options').textContent);
  const element = (id) => document.getElementById(id);
  const [bar, who, notice, ask, input, wrong, cancel, submit] = [
    'skein-bar',
    'skein-who',
    'skein-notice',
    'skein-ask',
    'skein-key',
    'skein-wrong',
    'skein-cancel',
    'skein-submit',
  ].map(element);
  const STORED = 'skein:key';
  const SERVICE_RESTART = 1012;
  const UNAUTHORIZED = 4401;
  const FORBIDDEN = 4403;
  let key = null;
  let rendered = false;

  /** Takes the key out of the address, so that it is neither shown nor kept in the browser's history. */
  function keyOfAddress() {
    const given = new URLSearchParams(location.hash.slice(1)).get('key');
    if (given !== null) history.replaceState(null, '', location.pathname + location.search);
    return given;
  }

  function post(body, as, signal) {
    return fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${as}` },
      body: JSON.stringify(body),
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      signal,
    });
  }

  function showForm(message, value = '') {
    ask.hidden = false;
    element('root').hidden = true;
    bar.hidden = true;
    cancel.hidden = key === null;
    wrong.textContent = message;
    input.value = value;
    input.focus();
  }

  function showEditor() {
    ask.hidden = true;
    element('root').hidden = false;
    bar.hidden = false;
    if (rendered) return;
    rendered = true;
    YogaGraphiQL.renderYogaGraphiQL(element('root'), {
      title: 'Skein',
      logo: ' ',
      fetcher,
      defaultTabs: tabs,
      // Headers would be one more place that a key can stay in.
      isHeadersEditorEnabled: false,
      shouldPersistHeaders: false,
      defaultEditorToolsVisibility: 'variables',
      // GraphiQL keeps its tabs itself; in the address they would end up in other people's logs.
      onEditQuery() {},
    });
  }

  /** The key stops being used; what the server said of it is shown. */
  function refused(message) {
    key = null;
    sessionStorage.removeItem(STORED);
    showForm(message);
  }

  /** Tries a key and keeps it when the server takes it. */
  async function enter(candidate) {
    submit.disabled = true;
    wrong.textContent = '';
    try {
      // A header can carry no other characters, and no key of ours has them.
      if (!/^[\x21-\x7e]+$/.test(candidate))
        return showForm('That is no key: it holds blanks or other characters that no key has.', candidate);
      const response = await post({ query: '{ viewer { version project { name } } }' }, candidate);
      const answer = await response.json().catch(() => ({}));
      const viewer = answer.data?.viewer;
      if (!viewer) {
        const reason = answer.errors?.[0]?.message ?? `The server answered ${response.status}.`;
        return response.status === 401 ? refused(reason) : showForm(reason, candidate);
      }
      key = candidate;
      sessionStorage.setItem(STORED, candidate);
      who.textContent = `project ${viewer.project.name} · key …${candidate.slice(-4)} · version ${viewer.version}`;
      notice.textContent = '';
      input.value = '';
      showEditor();
    } catch (error) {
      showForm(`The server cannot be reached: ${error.message}`, candidate);
    } finally {
      submit.disabled = false;
    }
  }

  /** GraphiQL's fetcher: subscriptions over a socket of their own, everything else over HTTP. */
  function fetcher({ query, variables, operationName }, { documentAST } = {}) {
    const operations = (documentAST?.definitions ?? []).filter(({ kind }) => kind === 'OperationDefinition');
    const chosen = operations.find(({ name }) => name?.value === operationName) ?? operations[0];
    const body = { query, variables, operationName: operationName ?? undefined };
    // GraphiQL's introspection comes without the document that is being edited.
    const subscribes = chosen?.operation === 'subscription' && operationName !== 'IntrospectionQuery';
    return subscribes ? { subscribe: (observer) => subscribe(body, observer) } : request(body);
  }

  async function request(body) {
    const response = await post(body, key);
    const answer = await response.json();
    if (response.status === 401) refused(answer.errors?.[0]?.message ?? 'The key was refused.');
    return answer;
  }

  /** One subscription in the protocol graphql-transport-ws. */
  function subscribe(body, observer) {
    const url = new URL(endpoint, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url, 'graphql-transport-ws');
    const send = (message) => socket.send(JSON.stringify(message));
    let over = false;
    const end = (finish) => {
      if (over) return;
      over = true;
      socket.close(1000);
      finish?.();
    };
    socket.onopen = () => send({ type: 'connection_init', payload: { Authorization: `Bearer ${key}` } });
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === 'connection_ack') send({ id: '1', type: 'subscribe', payload: body });
      else if (message.type === 'ping') send({ type: 'pong' });
      else if (message.type === 'next' && !over) observer.next(message.payload);
      else if (message.type === 'error') end(() => observer.next({ errors: message.payload }));
      else if (message.type === 'complete') end(() => observer.complete());
    };
    socket.onclose = ({ code, reason }) => {
      if (over) return;
      if (code === UNAUTHORIZED || code === FORBIDDEN) refused(reason || 'The key was refused.');
      const why =
        code === SERVICE_RESTART
          ? 'The server is shutting down.'
          : `The connection was lost (${code}${reason ? `: ${reason}` : ''}).`;
      notice.textContent = why;
      end(() => observer.error({ message: why }));
    };
    return { unsubscribe: () => end() };
  }

  ask.addEventListener('submit', (event) => {
    event.preventDefault();
    void enter(input.value.trim());
  });
  cancel.addEventListener('click', showEditor);
  element('skein-change').addEventListener('click', () => showForm(''));
  addEventListener('hashchange', () => {
    const given = keyOfAddress();
    if (given) void enter(given);
  });

  const first = keyOfAddress() ?? sessionStorage.getItem(STORED);
  if (first) void enter(first);
  else showForm('');
})();
