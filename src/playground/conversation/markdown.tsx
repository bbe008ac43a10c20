import { type ComponentProps, memo, type ReactNode, useEffect, useRef, useState } from 'react';
import Markdown, { type Components, type Options } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { blocksOf, NO_BLOCKS } from './blocks.ts';
import { CodeBlock } from './code-block.tsx';
import styles from './markdown.module.css';

interface MarkdownTextProps {
  text: string;
  /** It is being written: its last block may change with every word. */
  growing?: boolean;
  /** What a link of this page's own (`#…`) is shown as; null = as its text. */
  link?: (href: string, children: ReactNode) => ReactNode;
}

/** Markdown as elements: HTML in it is text, and nothing in it is asked for from another host. */
export function MarkdownText({ text, growing = false, link }: MarkdownTextProps) {
  const before = useRef(NO_BLOCKS);
  const { blocks } = (before.current = blocksOf(text, before.current));
  return (
    <div className={styles.markdown}>
      {blocks.map(({ start, raw }, at) => (
        <Block key={start} text={raw} growing={growing && at === blocks.length - 1} link={link} />
      ))}
    </div>
  );
}

type Highlight = NonNullable<Options['rehypePlugins']>;
let highlight: Highlight | null = null;
const NONE: Highlight = [];

/** The highlighter is as large as the rest of the page: it comes when there is code to colour. */
function useHighlight(wanted: boolean): Highlight {
  const [plugins, setPlugins] = useState(highlight);
  useEffect(() => {
    if (!wanted || plugins) return;
    let left = false;
    void import('rehype-highlight').then(({ default: rehypeHighlight }) => {
      highlight = [[rehypeHighlight, { detect: false }]];
      if (!left) setPlugins(highlight);
    });
    return () => {
      left = true;
    };
  }, [wanted, plugins]);
  return wanted && plugins ? plugins : NONE;
}

const Block = memo(function Block({ text, growing, link }: Required<Pick<MarkdownTextProps, 'text' | 'growing'>> & Pick<MarkdownTextProps, 'link'>) {
  // What still grows is coloured when it is done: to colour it with every word would cost more each time.
  const plugins = useHighlight(!growing && /^\s*(```|~~~)/.test(text));
  const components: Components = {
    a: ({ href, children }) => <Link href={href} link={link}>{children}</Link>,
    img: ({ src, alt }) => <PictureLink src={src} alt={alt} />,
    pre: ({ children }) => <CodeBlock>{children}</CodeBlock>,
    table: ({ node: _node, ...rest }) => (
      // It scrolls by itself, with the keyboard too.
      <div className={styles.table} role="region" aria-label="Table" tabIndex={0}>
        <table {...rest} />
      </div>
    ),
  };
  return (
    <Markdown remarkPlugins={[remarkGfm]} rehypePlugins={plugins} components={components}>
      {text}
    </Markdown>
  );
});

function Link({ href, link, children }: { href: string | undefined; link: MarkdownTextProps['link']; children?: ReactNode }) {
  if (!href) return <>{children}</>;
  if (href.startsWith('#')) return <>{link?.(href, children) ?? children}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={href}>
      {children}
    </a>
  );
}

/** A picture of another host is a link to it: showing it would tell that host who reads what. */
function PictureLink({ src, alt }: Pick<ComponentProps<'img'>, 'src' | 'alt'>) {
  if (typeof src !== 'string' || src === '') return <>{alt}</>;
  return (
    <a href={src} target="_blank" rel="noopener noreferrer nofollow">
      {alt || 'picture'} (not loaded)
    </a>
  );
}
