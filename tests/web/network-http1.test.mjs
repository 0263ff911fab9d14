// SPDX-License-Identifier: MIT
// Messages of HTTP/1.1 in any pieces, and each lie that a peer can tell.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { HttpError, chunkOf, endToEnd, fieldOf, lastChunk, listOf, requestHead, responseHead } =
  await source('network/http1.ts');
const { RequestParser, ResponseParser } = await source('network/http1-parser.ts');

const bytesOf = (text) => new Uint8Array(Buffer.from(text, 'latin1'));

/** All that a parser finds: heads, bodies as text, trailers. */
function collect(parser, found = []) {
  for (let part; (part = parser.next()) !== undefined;)
    if (part.type !== 'data') found.push(part.type === 'head' ? part.head : part.trailers);
    else {
      assert(part.bytes.length > 0);
      const text = Buffer.from(part.bytes).toString('latin1');
      if (typeof found.at(-1) === 'string') found[found.length - 1] += text;
      else found.push(text);
    }
  return found;
}

/** What is found in `text`, the same whatever pieces it comes in. */
function parse(make, text, ends = false) {
  const whole = make();
  whole.push(bytesOf(text));
  if (ends) whole.end();
  const found = collect(whole);
  for (let split = 0; split <= text.length; ++split) {
    const parser = make();
    parser.push(bytesOf(text.slice(0, split)));
    const parts = collect(parser);
    parser.push(bytesOf(text.slice(split)));
    if (ends) parser.end();
    assert.deepEqual(collect(parser, parts), found, `split at ${split}`);
  }
  const bytewise = make();
  const parts = [];
  for (const byte of bytesOf(text)) {
    bytewise.push(new Uint8Array([byte]));
    collect(bytewise, parts);
  }
  if (ends) bytewise.end();
  assert.deepEqual(collect(bytewise, parts), found);
  assert.equal(bytewise.buffered, whole.buffered);
  return found;
}

/** The status and message of what is refused, in one piece and bytewise. */
function refusal(make, text, ends = false) {
  const error = (size) => {
    const parser = make();
    const act = () => {
      for (let at = 0; at < text.length; at += size) {
        parser.push(bytesOf(text.slice(at, at + size)));
        collect(parser);
      }
      if (ends) parser.end();
      return collect(parser);
    };
    try {
      act();
    } catch (thrown) {
      assert(thrown instanceof HttpError, thrown);
      // It stays so.
      assert.throws(() => parser.next(), thrown);
      return `${thrown.status} ${thrown.message}`;
    }
    return assert.fail(`${JSON.stringify(text.slice(0, 200))} was taken`);
  };
  const message = error(text.length);
  assert.equal(error(text.length > 10_000 ? 7 : 1), message);
  return message;
}

const request = () => new RequestParser();
const responseTo =
  (method, ...others) =>
  () => {
    const parser = new ResponseParser();
    parser.expect(method, ...others);
    return parser;
  };
const response = responseTo('GET');

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n';

test('requests with any body, one after the other', () => {
  const found = parse(
    request,
    '\r\nGET /a?b=%20 HTTP/1.1\r\nHost: a\r\nEmpty:\r\nX-Text: \t a\xe9 b\t \r\n\r\n' +
      'POST /b HTTP/1.1\r\nHOST: a\r\nContent-Length: 5\r\n\r\nhello' +
      '\r\nPUT * HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked\r\nTrailer: x\r\n\r\n' +
      '3\r\nabc\r\n00A ; more="x"\r\n0123456789\r\n0;end\r\nX: y\r\nContent-Length: 7\r\n\r\n' +
      'OPTIONS / HTTP/1.0\r\n\r\n' +
      'HEAD / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n' +
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n' +
      'GET /half',
  );
  assert.deepEqual(
    found.map((each) => (each.method === undefined ? each : [each.method, each.target, each.body, each.keepAlive])),
    [
      ['GET', '/a?b=%20', 0, true],
      [],
      ['POST', '/b', 5, true],
      'hello',
      [],
      ['PUT', '*', 'chunked', true],
      'abc0123456789',
      [
        ['x', 'y'],
        ['content-length', '7'],
      ],
      ['OPTIONS', '/', 0, false],
      [],
      ['HEAD', '/', 0, true],
      [],
      ['GET', '/', 0, false],
      [],
    ],
  );
  assert.deepEqual(found[0].fields, [
    ['host', 'a'],
    ['empty', ''],
    ['x-text', 'a\xe9 b'],
  ]);
});

test('a request whose connection ends early is an error, but not between two', () => {
  const text = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n';
  for (let length = 1; length < text.length; ++length)
    assert.match(refusal(request, text.slice(0, length), true), /^400 the connection ends in the middle/);
  assert.match(refusal(request, `${GET}Content-Length: 2\r\n\r\nx`, true), /middle/);
  assert.equal(parse(request, text, true).length, 3);
  const parser = request();
  assert(parser.isBetween);
  parser.push(bytesOf(text));
  assert(!parser.isBetween);
  collect(parser);
  assert(parser.isBetween);
  parser.push(bytesOf('G'));
  collect(parser);
  assert.equal(parser.buffered, 0);
  assert(!parser.isBetween);
});

test('requests that two readers could understand in two ways are refused', () => {
  const fields = (text) => `${GET}${text}\r\n\r\n`;
  for (const [text, expected] of [
    // The first line.
    ['\r\n\r\n', /^400/],
    ['GET /\r\n', /^400/],
    ['GET  / HTTP/1.1\r\n', /^400/],
    ['GET / HTTP/1.1 \r\n', /^400/],
    [' GET / HTTP/1.1\r\n', /^400/],
    ['GET /a b HTTP/1.1\r\n', /^400/],
    ['GET /\x7f HTTP/1.1\r\n', /^400/],
    ['GET /\xe9 HTTP/1.1\r\n', /^400/],
    ['GET\t/ HTTP/1.1\r\n', /^400/],
    ['G(T / HTTP/1.1\r\n', /^400/],
    ['GET / http/1.1\r\n', /^400/],
    ['GET / HTTP/1.1\n', /^400 .*CR LF/],
    ['GET / HTTP/1.1\rHost: a\r\n', /^400/],
    ['GET / HTTP/1.2\r\n', /^505/],
    ['PRI * HTTP/2.0\r\n', /^505/],
    ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n', /^400/],
    // Hosts.
    ['GET / HTTP/1.1\r\n\r\n', /^400 .*Host/],
    [fields('Host: b'), /^400 .*Host/],
    // Fields.
    [fields('A: b\r\n c'), /^400 .*second line/],
    [`GET / HTTP/1.1\r\n Host: a\r\n\r\n`, /^400 .*second line/],
    [fields('\tA: b'), /^400 .*second line/],
    [fields('A : b'), /^400 .*name/],
    [fields(': b'), /^400 .*name/],
    [fields('A'), /^400 .*name/],
    [fields('A\0: b'), /^400 .*name/],
    [fields('\xe9: b'), /^400 .*name/],
    [fields('A: b\0c'), /^400 .*control/],
    [fields('A: b\rc'), /^400 .*control/],
    [fields('A: b\r'), /^400 .*control/],
    [fields('A: b\x7f'), /^400 .*control/],
    [fields('A: b\nC: d'), /^400 .*CR LF/],
    [`${GET}\n`, /^400 .*CR LF/],
    // Lengths.
    ...['', '-1', '+1', '1x', '0x1', '1 1', '1, 1', '1.0', '1e3', '\xb2', '9999999999999999'].map((length) => [
      fields(`Content-Length: ${length}`),
      /^400 .*number of bytes/,
    ]),
    [fields('Content-Length: 1\r\nContent-Length: 1'), /^400 .*more than one/],
    [fields('Content-Length: 1\r\nTransfer-Encoding: chunked'), /^400 .*both/],
    [fields('Transfer-Encoding: chunked\r\nContent-Length: 1'), /^400 .*both/],
    [fields('Transfer-Encoding: gzip, chunked'), /^501/],
    [fields('Transfer-Encoding: chunked, identity'), /^501/],
    [fields('Transfer-Encoding: identity'), /^501/],
    [fields('Transfer-Encoding: \x0bchunked'), /^400/],
    [fields('Transfer-Encoding:'), /^501/],
    [fields('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'), /^501/],
    ['GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', /^400 .*1\.0/],
    // Chunks.
    ...[
      '\r\n',
      'x\r\n',
      '-1\r\n',
      '+1\r\n',
      '0x1\r\n',
      ' 1\r\n',
      '1 1\r\n',
      '1;\0\r\n',
      '1\n',
      '1000000000000\r\n\r\n',
      'fffffffffffff\r\n',
    ].map((chunk) => [`${fields('Transfer-Encoding: chunked')}${chunk}`, /^400/]),
    [`${fields('Transfer-Encoding: chunked')}1\r\nxy\r\n`, /^(400|431)/],
    [`${fields('Transfer-Encoding: chunked')}1\r\nx\n`, /^400/],
    [`${fields('Transfer-Encoding: chunked')}0\r\n A: b\r\n`, /^400/],
    [`${fields('Transfer-Encoding: chunked')}0\r\n\n`, /^400/],
  ])
    assert.match(refusal(request, text), expected, JSON.stringify(text));
});

test('everything has a bound', () => {
  const long = 'x'.repeat(65_537);
  const many = (count) => 'A: b\r\n'.repeat(count);
  const chunked = `${GET}Transfer-Encoding: chunked\r\n\r\n`;
  for (const text of [
    long,
    `GET /${long}`,
    `${GET}A: ${long}`,
    `${GET}${`A: ${'x'.repeat(1000)}\r\n`.repeat(66)}`,
    `${GET}${many(100)}\r\n`,
    `${chunked}1;${'x'.repeat(256)}`,
    `${chunked}${'0'.repeat(300)}`,
    `${chunked}0\r\n${many(101)}\r\n`,
    `${chunked}0\r\nA: ${long}`,
  ])
    assert.match(refusal(request, text), /^431/);
  assert.match(refusal(response, `HTTP/1.1 200 ${long}`), /^431/);
  // The last that is taken.
  const parser = request();
  parser.push(bytesOf(`${GET}${many(99)}\r\n`));
  assert.equal(collect(parser)[0].fields.length, 100);
  // White space of a hostile value takes no time that grows by its square.
  parser.push(bytesOf(`${GET}A: b${' '.repeat(65_000)}c\r\n\r\n`));
  assert.equal(collect(parser)[0].fields[1][1].length, 65_002);
});

test('responses of each kind', () => {
  const one = (text, make = response, ends = false) => {
    const [head, ...rest] = parse(make, text, ends);
    return [head.status, head.reason, head.body, head.keepAlive, ...rest];
  };
  const ok = 'HTTP/1.1 200 OK\r\n';
  assert.deepEqual(one(`${ok}Content-Length: 2\r\n\r\nhi`), [200, 'OK', 2, true, 'hi', []]);
  assert.deepEqual(one(`${ok}Content-Length: 0\r\n\r\n`), [200, 'OK', 0, true, []]);
  assert.deepEqual(one(`${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`), [
    200,
    'OK',
    'chunked',
    true,
    'hi',
    [],
  ]);
  assert.deepEqual(one('HTTP/1.1 404\r\n\r\nbye\r\n', response, true), [404, '', 'until-close', false, 'bye\r\n', []]);
  assert.deepEqual(one('HTTP/1.1 200 \r\n\r\n', response, true), [200, '', 'until-close', false, []]);
  assert.deepEqual(one('HTTP/1.0 200 Is\xe9\r\nContent-Length: 1\r\n\r\nx'), [200, 'Is\xe9', 1, false, 'x', []]);
  // As scripts write it.
  assert.deepEqual(one('HTTP/1.0 200 OK\r\nContent-Type: a\nB: c\n\nhi', response, true), [
    200,
    'OK',
    'until-close',
    false,
    'hi',
    [],
  ]);
  // Without a body, whatever they say.
  assert.deepEqual(one(`${ok}Content-Length: 7\r\n\r\n`, responseTo('HEAD')), [200, 'OK', 0, true, []]);
  assert.deepEqual(one(`${ok}Transfer-Encoding: chunked\r\n\r\n`, responseTo('HEAD')), [200, 'OK', 0, true, []]);
  assert.deepEqual(one('HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n'), [304, 'Same', 0, true, []]);
  assert.deepEqual(one('HTTP/1.1 204 None\r\n\r\n'), [204, 'None', 0, true, []]);
});

test('interim responses come before the response', () => {
  const found = parse(
    response,
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx',
  );
  assert.deepEqual(
    found.map((each) => each.status ?? each),
    [100, 103, 200, 'x', []],
  );
});

test('another protocol begins where it was asked for only', () => {
  const text = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\0\r\n\x81';
  assert.match(refusal(response, text), /unasked/);
  assert.deepEqual(parse(responseTo('GET', true), text).slice(1), ['\0\r\n\x81']);
});

test('nothing is taken as a response to no request', () => {
  const parser = new ResponseParser();
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  parser.push(bytesOf(text));
  assert.equal(parser.next(), undefined);
  assert.equal(parser.buffered, text.length);
  assert(!parser.isBetween);
  parser.expect('GET');
  assert.throws(() => parser.expect('GET'), /has not ended/);
  assert.equal(collect(parser).length, 2);
  parser.push(bytesOf(text));
  assert.equal(parser.next(), undefined);
});

test('responses that two readers could understand in two ways are refused', () => {
  for (const [text, expected] of [
    ['HTTP/2 200\r\n', /no response/],
    ['HTTP/1.1 99 x\r\n', /no response/],
    ['HTTP/1.1 600 x\r\n', /no response/],
    ['HTTP/1.1 2000 x\r\n', /no response/],
    ['HTTP/1.1  200 x\r\n', /no response/],
    ['HTTP/1.1 200 \0\r\n', /no response/],
    ['ICY 200 OK\r\n', /no response/],
    ['\r\nHTTP/1.1 200 OK\r\n', /no response/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', /both/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', /more than one/],
    ['HTTP/1.1 304 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', /more than one/],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n', /Transfer-Encoding/],
    ['HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', /1\.0/],
    ['HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n', /second line/],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n', /CR LF/],
  ])
    assert.match(refusal(response, text), expected, JSON.stringify(text));
  for (const text of ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx', 'HTTP/1.1 200 OK\r\n', 'HTTP', ''])
    if (text !== '') assert.match(refusal(response, text, true), /middle/);
});

test('what is written can be read, and cannot break a message', () => {
  const text = (...parts) => parts.map((part) => Buffer.from(part).toString('latin1')).join('');
  const fields = [
    ['host', 'a'],
    ['x', '\xe9\t'],
    ['transfer-encoding', 'chunked'],
  ];
  const large = new Uint8Array(100_000).fill(120);
  const body = [...chunkOf(bytesOf('abc')), ...chunkOf(new Uint8Array(0)), ...chunkOf(large), lastChunk()];
  const sent = text(requestHead('POST', '/?', fields), ...body);
  assert(sent.startsWith('POST /? HTTP/1.1\r\nhost: a\r\nx: \xe9\t\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n'));
  const parser = request();
  parser.push(bytesOf(sent));
  assert.equal(collect(parser)[1], `abc${'x'.repeat(100_000)}`);
  assert.equal(text(responseHead(200, 'OK', [['a', 'b']])), 'HTTP/1.1 200 OK\r\na: b\r\n\r\n');
  assert.equal(text(responseHead(200, 'O\r\nK', [])), 'HTTP/1.1 200 \r\n\r\n');
  for (const [name, value] of [
    ['', 'b'],
    ['a b', 'c'],
    ['a:', 'c'],
    ['a', 'b\r\nc: d'],
    ['a', '\0'],
    ['a', '\u0100'],
  ])
    for (const act of [() => responseHead(200, '', [[name, value]]), () => requestHead('GET', '/', [[name, value]])])
      assert.throws(act, HttpError);
  for (const [method, target] of [
    ['GET ', '/'],
    ['', '/'],
    ['GET', ''],
    ['GET', '/ HTTP/1.1\r\n'],
    ['GET', '/\u0100'],
  ])
    assert.throws(() => requestHead(method, target, []), HttpError);
});

test('fields of the connection go no further', () => {
  const fields = [
    ['connection', 'x-hop, Close'],
    ['x-hop', '1'],
    ['te', 'trailers'],
    ['transfer-encoding', 'chunked'],
    ['upgrade', 'h2c'],
    ['keep-alive', 'x'],
    ['a', 'b'],
    ['connection', ', x-Other'],
    ['x-other', '2'],
  ];
  assert.deepEqual(endToEnd(fields), [['a', 'b']]);
  assert.deepEqual(listOf(fields, 'connection'), ['x-hop', 'close', 'x-other']);
  assert.equal(fieldOf(fields, 'te'), 'trailers');
  assert.equal(fieldOf(fields, 'none'), undefined);
});

/** Numbers below 2^32, always the same ones. */
function* numbers(seed) {
  for (let state = seed; ;) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

const SEEDS = [
  `${GET}\r\n`,
  `\r\nPOST /b HTTP/1.1\r\nHOST: a\r\nContent-Length: 5\r\n\r\nhello${GET}\r\n`,
  'PUT * HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n00A;x\r\n0123456789\r\n0\r\nX: y\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
  'HTTP/1.0 200 OK\nContent-Type: a\n\nhi',
];
const PIECES = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  ':',
  '0',
  'f',
  ';',
  '\xff',
  'Content-Length: 1\r\n',
  'Transfer-Encoding: chunked\r\n',
];

test('messages with anything in them are errors or messages, in one piece as in many', () => {
  const random = numbers(Number(process.env.AUKLET_SEED ?? 20));
  const below = (count) => random.next().value % count;
  const all = (make, text, size) => {
    const parser = make();
    const found = [];
    try {
      for (let at = 0; at < text.length; at += size) {
        parser.push(bytesOf(text.slice(at, at + size)));
        collect(parser, found);
      }
      parser.end();
      return collect(parser, found);
    } catch (error) {
      assert(error instanceof HttpError, error);
      return [...found, `${error.status} ${error.message}`];
    }
  };
  const rounds = Number(process.env.AUKLET_FUZZ_ROUNDS ?? 5000);
  let messages = 0;
  for (let round = 0; round < rounds; ++round) {
    let text = SEEDS[below(SEEDS.length)];
    for (let count = below(4); count > 0; --count) {
      const at = below(text.length + 1);
      text = text.slice(0, at) + PIECES[below(PIECES.length)] + text.slice(at + below(3));
    }
    const make = text.startsWith('H') ? response : request;
    const whole = all(make, text, text.length);
    assert.deepEqual(all(make, text, 1 + below(7)), whole, JSON.stringify(text));
    if (typeof whole[0] === 'object') ++messages;
  }
  // Not all were so broken that nothing was looked at.
  assert(messages > rounds / 4);
});
