import { posix } from 'node:path';
import type { Archive } from './archive.ts';
import { type Extraction, ExtractionFailure } from './extraction.ts';
import { attribute, flowText, readXml } from './open-xml.ts';
import { TextBuilder } from './text-builder.ts';

const PRESENTATION = 'ppt/presentation.xml';
/** Placeholders that repeat on each slide. */
const FURNITURE = new Set(['sldNum', 'dt', 'ftr', 'hdr', 'sldImg']);

/** Slides in the order they are shown, each with its title as heading and its notes below. */
export async function extractPptx(archive: Archive, maxCharacters: number): Promise<Extraction> {
  if (!archive.has(PRESENTATION))
    throw new ExtractionFailure('invalid_file', 'This presentation is damaged: its list of slides is missing.');
  const builder = new TextBuilder('pptx', maxCharacters);
  const ids: string[] = [];
  await readXml(archive, PRESENTATION, {
    open(name, attributes) {
      // `r:id` is the relation; `id` alone is the slide's own number.
      const relation = name === 'sldId' && Object.keys(attributes).find((key) => key.endsWith(':id'));
      if (relation) ids.push(attributes[relation] ?? '');
    },
  });
  const targets = await relations(archive, PRESENTATION);
  let number = 0;
  for (const id of ids) {
    number++;
    const slide = targets.find((target) => target.id === id)?.part;
    if (!slide || !archive.has(slide)) {
      builder.warn(`Slide ${number} is missing from the file.`);
      continue;
    }
    builder.section(1, '', { page: number });
    await readSlide(archive, slide, builder, true);
    const notes = (await relations(archive, slide)).find(({ type }) => type.endsWith('/notesSlide'))?.part;
    if (notes && archive.has(notes)) await readSlide(archive, notes, builder, false);
  }
  return builder.finish('The slides of this presentation have no text. Run text recognition (OCR) on a PDF of it.');
}

async function readSlide(archive: Archive, part: string, builder: TextBuilder, titled: boolean): Promise<void> {
  /** Of the shape that is being read: the type of its placeholder. */
  let placeholder = '';
  const flow = flowText({
    paragraph({ text }) {
      if (FURNITURE.has(placeholder)) return;
      if (titled && /title/i.test(placeholder)) builder.section(1, text);
      builder.add(`${text}\n`);
    },
    row: (text) => builder.add(`${text}\n`),
    tableEnd: () => builder.add('\n'),
  });
  await readXml(archive, part, {
    ...flow,
    open(name, attributes) {
      if (name === 'sp') placeholder = '';
      if (name === 'ph') placeholder = attribute(attributes, 'type') ?? 'body';
      flow.open(name, attributes);
    },
  });
  builder.add('\n');
}

interface Relation {
  id: string;
  type: string;
  /** The name of a part of the same archive: a path that leads elsewhere names none. */
  part: string;
}

async function relations(archive: Archive, part: string): Promise<Relation[]> {
  const folder = posix.dirname(part);
  const name = `${folder}/_rels/${posix.basename(part)}.rels`;
  const found: Relation[] = [];
  if (!archive.has(name)) return found;
  await readXml(archive, name, {
    open(tag, { Id, Type, Target }) {
      if (tag !== 'Relationship' || !Target) return;
      const path = Target.startsWith('/') ? Target.slice(1) : posix.join(folder, Target);
      found.push({ id: Id ?? '', type: Type ?? '', part: path });
    },
  });
  return found;
}
