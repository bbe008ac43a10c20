/** A text that would do something to a page that took it for more than a text. */
export interface Payload {
  readonly text: string;
  /** What is to be read of it where it is taken for Markdown; null = the text itself. */
  readonly asMarkdown: string | null;
}

const ACT = 'window.__xss=1';

/** As it is written, in Markdown too: HTML there is text. */
const html = (text: string): Payload => ({ text, asMarkdown: null });
/** Of a link or a picture its words are to be read. */
const link = (text: string, asMarkdown: string): Payload => ({ text, asMarkdown });

/** On one line each, and none of them with a character that ends a sentence at its end. */
export const PAYLOADS: readonly Payload[] = [
  html(`<script>${ACT}</script>`),
  html(`<img src=x onerror=${ACT}>`),
  html(`<img src="x" onerror="alert(1)" />`),
  html(`<svg onload=${ACT}>`),
  html(`<svg><script>${ACT}</script></svg>`),
  html(`<svg><animate onbegin=${ACT} attributeName=x dur=1s>`),
  html(`<iframe src="javascript:parent.__xss=1"></iframe>`),
  html(`<iframe srcdoc="<script>parent.__xss=1</script>"></iframe>`),
  html(`<object data="data:text/html,<script>opener.__xss=1</script>"></object>`),
  html(`<embed src="data:text/html,<script>top.__xss=1</script>">`),
  html(`<a href="javascript:${ACT}" autofocus onfocus=${ACT}>a</a>`),
  html(`<input autofocus onfocus=${ACT}>`),
  html(`<details open ontoggle=${ACT}>x</details>`),
  html(`<video><source onerror=${ACT}></video>`),
  html(`<audio src=x onerror=${ACT}></audio>`),
  html(`<body onload=${ACT}>`),
  html(`<form action="javascript:${ACT}"><button>b</button></form>`),
  html(`<button formaction="javascript:${ACT}">b</button>`),
  html(`<base href="https://evil.example/">`),
  html(`<meta http-equiv="refresh" content="0;url=https://evil.example/">`),
  html(`<link rel=stylesheet href="https://evil.example/x.css">`),
  html(`<style>@import 'https://evil.example/x.css'</style>`),
  html(`<math><mtext><img src=x onerror=${ACT}></mtext></math>`),
  html(`"><script>${ACT}</script>`),
  html(`' onmouseover='${ACT}' x='`),
  html(`</title></textarea><script>${ACT}</script>`),
  html(`{{constructor.constructor('${ACT}')()}}`),
  html(`\${${ACT}}`),
  link(`[click](javascript:${ACT})`, 'click'),
  link(`[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)`, 'click'),
  link(`![x](https://evil.example/pixel.png)`, 'x (not loaded)'),
  link(`![x](x" onerror="${ACT})`, `![x](x" onerror="${ACT})`),
];
