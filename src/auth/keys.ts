import { createHash, randomBytes } from 'node:crypto';
import type { Db } from '../db/db.ts';
import { NotFoundError } from '../errors.ts';
import { mintId } from '../ids.ts';
import type { ClientToken, ClientTokens } from './client-tokens.ts';

export const SCOPES = ['ADMIN', 'PROJECT'] as const;
/** PROJECT: everything within the key's project. ADMIN: projects and keys as well. */
export type Scope = (typeof SCOPES)[number];

/** Who asks: one key of one project, or a page to which that key has given a token. */
export interface Viewer {
  keyId: string;
  projectId: string;
  /** None with a token. */
  scopes: readonly Scope[];
  /** What a token allows; null = it is the key itself that asks. */
  token: ClientToken | null;
}

/** Keys are checked on every operation; what was found is believed for this long unless a revocation is heard of. */
const BELIEVED_MS = 2000;

export interface Keys {
  /** The viewer behind a key or a client token, or null when it is unknown or its key is revoked. */
  authenticate(secret: string): Promise<Viewer | 'expired' | null>;
  /** Which of these keys are still good. */
  stillGood(keyIds: string[]): Promise<Set<string>>;
  createProject(name: string): Promise<{ projectId: string; keyId: string; secret: string }>;
  createApiKey(projectId: string, name: string, scopes: readonly Scope[]): Promise<{ keyId: string; secret: string }>;
  /** Makes a token for a page, which is good for as long as the key is. */
  createClientToken(keyId: string, token: ClientToken): string;
  /** Revokes a key; who is connected with it, or with a token of it, is sent away. */
  revoke(keyId: string): Promise<void>;
  /**
   * Makes sure that there is a key to begin with: `bootstrap` where given, else a new one when the database has none.
   * The answer is the secret, when this call made the key.
   */
  ensureFirst(bootstrap: string | null): Promise<{ secret: string; made: boolean } | null>;
  /** Forgets what is believed of keys: somebody has revoked one. */
  forget(): void;
}

export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

interface KeysOptions {
  db: Db;
  tokens: ClientTokens;
  onRevoked(keyId: string): void;
}

export function createKeys({ db, tokens, onRevoked }: KeysOptions): Keys {
  const believed = new Map<string, { viewer: Viewer; until: number }>();
  // Counts revocations: what was read of a key before one is not believed after it.
  let revocations = 0;
  const { prisma } = db;

  const forget = () => {
    revocations += 1;
    believed.clear();
  };

  /** A key that is good. Ids and hashes are never alike. */
  async function find(column: 'hash' | 'id', value: string): Promise<Viewer | null> {
    const known = believed.get(value);
    if (known && known.until > Date.now()) return known.viewer;
    const readAt = revocations;
    const [row] = await db.query<{ id: string; projectId: string; scopes: Scope[] }>({
      name: `key-by-${column}`,
      text: `select id, project_id as "projectId", scopes from api_key where ${column} = $1 and revoked_at is null`,
      values: [value],
    });
    believed.delete(value);
    if (!row) return null;
    const viewer = { keyId: row.id, projectId: row.projectId, scopes: row.scopes, token: null };
    if (believed.size > 10_000) believed.clear();
    if (readAt === revocations) believed.set(value, { viewer, until: Date.now() + BELIEVED_MS });
    return viewer;
  }

  async function insertKey(projectId: string, name: string, scopes: readonly Scope[], secret: string) {
    const id = mintId('ApiKey');
    await prisma.apiKey.create({
      data: {
        id,
        projectId,
        name,
        hash: hashOf(secret),
        hint: secret.slice(-4),
        scopes: [...scopes],
        createdAt: new Date(),
      },
    });
    return id;
  }

  async function insertProject(name: string) {
    const id = mintId('Project');
    await prisma.project.create({ data: { id, name, createdAt: new Date() } });
    return id;
  }

  return {
    async authenticate(secret) {
      const read = tokens.read(secret);
      if (read === null) return find('hash', hashOf(secret));
      if (read === 'expired') return read;
      const key = await find('id', read.keyId);
      return key && { ...key, scopes: [], token: read.token };
    },

    createClientToken: (keyId, token) => tokens.mint(keyId, token),

    async stillGood(keyIds) {
      const rows = await prisma.apiKey.findMany({
        where: { id: { in: keyIds }, revokedAt: null },
        select: { id: true },
      });
      return new Set(rows.map(({ id }) => id));
    },

    async createProject(name) {
      const projectId = await insertProject(name);
      const secret = newSecret();
      return { projectId, keyId: await insertKey(projectId, 'first key', ['PROJECT'], secret), secret };
    },

    async createApiKey(projectId, name, scopes) {
      const project = await prisma.project.findUnique({ where: { id: projectId }, select: { id: true } });
      if (!project) throw new NotFoundError('project', projectId, ['input', 'projectId']);
      const secret = newSecret();
      return { keyId: await insertKey(projectId, name, scopes, secret), secret };
    },

    async revoke(keyId) {
      const { count } = await prisma.apiKey.updateMany({
        where: { id: keyId, revokedAt: null },
        data: { revokedAt: new Date() },
      });
      if (count === 0 && !(await prisma.apiKey.findUnique({ where: { id: keyId }, select: { id: true } }))) {
        throw new NotFoundError('API key', keyId, ['input', 'apiKeyId']);
      }
      forget();
      onRevoked(keyId);
    },

    async ensureFirst(bootstrap) {
      if (bootstrap) {
        const known = await prisma.apiKey.findUnique({ where: { hash: hashOf(bootstrap) } });
        if (known) return { secret: bootstrap, made: false };
      }
      if (!bootstrap && (await prisma.apiKey.count()) > 0) return null;
      const secret = bootstrap ?? newSecret();
      const first = await prisma.project.findFirst({ orderBy: { id: 'asc' } });
      const projectId = first?.id ?? (await insertProject('default'));
      await insertKey(projectId, bootstrap ? 'SKEIN_BOOTSTRAP_KEY' : 'first key', ['ADMIN', 'PROJECT'], secret);
      return { secret, made: true };
    },

    forget,
  };
}

const newSecret = () => `sk-skein-${randomBytes(24).toString('base64url')}`;
