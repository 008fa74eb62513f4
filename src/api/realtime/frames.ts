import type { Socket } from 'socket.io';
import type { RunEvent } from '../../domain/run/events.ts';

const texts = new WeakMap<RunEvent, string>();

/** An event as JSON, written once however many read it. */
export function eventText(event: RunEvent): string {
  let text = texts.get(event);
  if (text === undefined) texts.set(event, (text = JSON.stringify(event)));
  return text;
}

/** Events of a topic as a subscriber is sent them, encoded once for all subscribers. */
export type Frames = { topic: string; events: readonly RunEvent[]; bytes: Buffer };

/** Web socket text frames with the packets that `socket.emit('event', { topic, ...event })` would make, one after the other. */
export function framesOf(topic: string, events: readonly RunEvent[]): Frames {
  const head = `42["event",{"topic":${JSON.stringify(topic)},`; // engine.io message, socket.io event
  return { topic, events, bytes: Buffer.concat(events.map((event) => textFrame(`${head}${eventText(event).slice(1)}]`))) };
}

const FIN_TEXT = 0x81;

/** RFC 6455 5.2, from a server: not masked. */
function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(header + length);
  frame[0] = FIN_TEXT;
  if (header === 2) frame[1] = length;
  else if (header === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, header);
  return frame;
}

/** What engine.io and ws keep to themselves; the versions are pinned and a test compares what both ways send. */
type Inside = {
  readyState: string;
  upgrading?: boolean;
  writeBuffer: unknown[];
  transport: {
    name: string;
    writable: boolean;
    socket?: { readyState: number; _socket?: { writable: boolean; write: (bytes: Buffer) => boolean } };
  };
};
const OPEN = 1;

/**
 * Sends all frames with one write, if nothing is waiting that has to go first; else packet by packet through the library.
 * A write for each packet is most of what an event to many subscribers costs.
 */
export function sendFrames(socket: Pick<Socket, 'conn' | 'emit'>, frames: Frames): void {
  const { readyState, upgrading, writeBuffer, transport } = socket.conn as unknown as Inside;
  const ws = transport.name === 'websocket' ? transport.socket : undefined;
  const idle = readyState === 'open' && upgrading !== true && writeBuffer.length === 0 && transport.writable;
  if (idle && ws?.readyState === OPEN && ws._socket?.writable) ws._socket.write(frames.bytes);
  else for (const event of frames.events) socket.emit('event', { topic: frames.topic, ...event });
}
