const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const code = (letter: string): number => letter.charCodeAt(0);
const PARSE = code('P');
const BIND = code('B');
const DESCRIBE = code('D');
const CLOSE = code('C');
const SYNC = code('S');
const QUERY = code('Q');
const FLUSH = code('H');
const TERMINATE = code('X');
const STATEMENT = code('S');

export interface Unit {
  bytes: Buffer;
  /** False when it ends with a Flush: the client goes on in the same implicit transaction. */
  complete: boolean;
}

/**
 * What one PostgreSQL client sends, cut into units: as many messages as are sent before the client waits for an answer.
 * Names of prepared statements get the connection's prefix, since one session stands behind all connections: the
 * same name on two connections, or on a second connection of the same client, is not the same statement.
 */
export class FrontendMessages {
  private buffer: Buffer = Buffer.alloc(0);
  private unit: Buffer[] = [];
  private started = false;
  private readonly prefix: string;
  private readonly statements = new Set<string>();

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** `reply` answers a question that comes before the protocol proper; `end` = the client says goodbye. */
  push(data: Buffer): { units: Unit[]; reply: Buffer | null; end: boolean } {
    this.buffer = this.buffer.length ? Buffer.concat([this.buffer, data]) : data;
    const units: Unit[] = [];
    let reply: Buffer | null = null;
    let offset = 0;
    for (;;) {
      const lengthAt = this.started ? offset + 1 : offset;
      if (this.buffer.length < lengthAt + 4) break;
      const next = lengthAt + this.buffer.readInt32BE(lengthAt);
      if (this.buffer.length < next) break;
      const message = this.buffer.subarray(offset, next);
      offset = next;
      if (this.started) {
        const type = message[0];
        if (type === TERMINATE) return { units, reply, end: true };
        this.unit.push(this.own(message));
        if (type !== SYNC && type !== QUERY && type !== FLUSH) continue;
        units.push({ bytes: Buffer.concat(this.unit), complete: type !== FLUSH });
        this.unit = [];
      } else {
        const request = message.readInt32BE(4);
        if (request === CANCEL_REQUEST) return { units, reply, end: true };
        if (request === SSL_REQUEST || request === GSS_REQUEST) {
          reply = Buffer.from('N');
        } else {
          this.started = true;
          units.push({ bytes: message, complete: true });
        }
      }
    }
    this.buffer = this.buffer.subarray(offset);
    return { units, reply, end: false };
  }

  /** What the session has to be told when the connection is gone. */
  farewell(holdsSession: boolean): Unit {
    const sync = encode(SYNC, '');
    const closes = [...this.statements].map((name) => encode(CLOSE, `S${name}\0`));
    const rollback = holdsSession ? [sync, encode(QUERY, 'rollback\0')] : [];
    return { bytes: Buffer.concat([...rollback, ...closes, sync]), complete: true };
  }

  private own(message: Buffer): Buffer {
    const type = message[0];
    if (type === PARSE) return this.rename(message, 5, true);
    if (type === BIND) return this.rename(message, message.indexOf(0, 5) + 1, false);
    if ((type === DESCRIBE || type === CLOSE) && message[5] === STATEMENT) return this.rename(message, 6, false);
    return message;
  }

  private rename(message: Buffer, at: number, made: boolean): Buffer {
    if (message[at] === 0) return message;
    if (made) this.statements.add(this.prefix + message.toString('utf8', at, message.indexOf(0, at)));
    const renamed = Buffer.concat([message.subarray(0, at), Buffer.from(this.prefix), message.subarray(at)]);
    renamed.writeInt32BE(renamed.length - 1, 1);
    return renamed;
  }
}

function encode(type: number, body: string): Buffer {
  const message = Buffer.concat([Buffer.alloc(5), Buffer.from(body)]);
  message.writeUInt8(type, 0);
  message.writeInt32BE(message.length - 1, 1);
  return message;
}
