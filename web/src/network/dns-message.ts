// SPDX-License-Identifier: MIT
// Messages of DNS (RFC 1035, section 4), as far as one who passes them on must
// understand them.

const HEADER = 12;
const FLAG_ANSWER = 0x8000;
const MASK_OPERATION = 0x7800;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_WANTED = 0x0100;
const FLAG_RECURSION = 0x0080;
const MASK_CODE = 0x000f;
const SERVER_FAILURE = 2;
const NO_SUCH_NAME = 3;
/** A question with the options of EDNS, and then some. */
const LONGEST_QUESTION = 4096;

const word = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

export function setId(message: Uint8Array, id: number): void {
  message[0] = id >> 8;
  message[1] = id & 0xff;
}

/** A message with one question. */
export interface Question {
  message: Uint8Array;
  /** Bytes of the header and the question. */
  length: number;
  name: string;
}

/** @throws Error if the bytes are no question. */
export function parseQuestion(message: Uint8Array): Question {
  const fault = new Error('this is no question of DNS');
  if (message.length < HEADER || message.length > LONGEST_QUESTION) throw fault;
  if ((word(message, 2) & (FLAG_ANSWER | MASK_OPERATION)) !== 0 || word(message, 4) !== 1) throw fault;
  const labels: string[] = [];
  let at = HEADER;
  for (;;) {
    const length = message[at++];
    // A pointer would be longer than a label can be.
    if (length === undefined || length > 63 || at + length > message.length) throw fault;
    if (length === 0) break;
    labels.push(String.fromCharCode(...message.subarray(at, at + length)));
    at += length;
  }
  if (at + 4 > message.length) throw fault;
  return { message, length: at + 4, name: labels.join('.') };
}

/** Letters without their case (RFC 4343). Lengths of labels are below "A". */
const plain = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte);

/** Whether a message answers a question with this number. */
export function answers(answer: Uint8Array, question: Question, id: number): boolean {
  if (answer.length < question.length || word(answer, 0) !== id || (word(answer, 2) & FLAG_ANSWER) === 0) return false;
  if (word(answer, 4) !== 1) return false;
  return question.message
    .subarray(HEADER, question.length)
    .every((byte, index) => plain(byte) === plain(answer[HEADER + index]!));
}

/** By TCP, two bytes of length are in front (RFC 1035, section 4.2.2). */
export function framed(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 + message.length);
  setId(bytes, message.length);
  bytes.set(message, 2);
  return bytes;
}

/** Takes one message by TCP, in whatever pieces it comes. */
export class FramedMessage {
  private readonly received = new Uint8Array(2 + 65_535);
  private count = 0;

  /** The message, as soon as it is whole. What comes after it is dropped. */
  add(bytes: Uint8Array): Uint8Array | undefined {
    const part = bytes.subarray(0, this.received.length - this.count);
    this.received.set(part, this.count);
    this.count += part.length;
    const end = 2 + word(this.received, 0);
    return this.count < 2 || this.count < end ? undefined : this.received.subarray(2, end);
  }
}

export const isTruncated = (answer: Uint8Array): boolean => (word(answer, 2) & FLAG_TRUNCATED) !== 0;
export const isFailure = (answer: Uint8Array): boolean => (word(answer, 2) & MASK_CODE) === SERVER_FAILURE;

/** The answer that nobody has the name. */
export const noSuchName = (question: Question): Uint8Array => emptyAnswer(question, NO_SUCH_NAME);

/** The answer that the name has nothing of this kind. */
export const noSuchRecord = (question: Question): Uint8Array => emptyAnswer(question, 0);

function emptyAnswer({ message, length }: Question, code: number): Uint8Array {
  const answer = new Uint8Array(message.subarray(0, length));
  // Of the guest's flags, only this one is for answers, too.
  answer[2] = (FLAG_ANSWER | (word(message, 2) & FLAG_RECURSION_WANTED)) >> 8;
  answer[3] = FLAG_RECURSION | code;
  // Only the question is left.
  answer.fill(0, 6, HEADER);
  return answer;
}
