// SPDX-License-Identifier: MIT
// Whom a guest may reach: network/policy.ts, and the literals of network/address.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { Policy, parseRule, parseRules } = await source('network/policy.ts');
const { formatAddress, parseAddress, parseNetwork } = await source('network/address.ts');
const { ownAddresses } = await source('network/node-sockets.ts');

const policy = ({ allow = [], deny = [], own = [] }) => new Policy(parseRules(allow), parseRules(deny), () => own);
const usual = policy({});

test('every blocked range, from its first address to its last, and what is beside it', () => {
  const ranges = [
    ['0.0.0.0', '0.255.255.255', undefined, '1.0.0.0'],
    ['10.0.0.0', '10.255.255.255', '9.255.255.255', '11.0.0.0'],
    ['100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
    ['127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
    ['169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
    ['172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
    ['192.0.0.0', '192.0.0.255', '191.255.255.255', '192.0.1.0'],
    ['192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
    ['198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
    ['224.0.0.0', '255.255.255.255', '223.255.255.255', undefined],
    ['::', '1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', undefined, '2000::'],
    ['2001::', '2001:0:ffff:ffff:ffff:ffff:ffff:ffff', '2000:ffff::', '2001:1::'],
    ['2002::', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2001:ffff::', '2003::'],
    ['4000::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', undefined],
    ['8000::', 'fc00::', undefined, undefined],
    ['fd00::', 'fe80::1', undefined, undefined],
    ['fec0::', 'ff02::1', undefined, undefined],
  ];
  for (const [first, last, before, after] of ranges) {
    for (const address of [first, last]) assert.equal(usual.allows(address, 80), false, address);
    for (const address of [before, after].filter(Boolean)) assert.equal(usual.allows(address, 80), true, address);
  }
  for (const address of ['93.184.216.34', '8.8.8.8', '2606:4700::1111', '::ffff:93.184.216.34'])
    assert.equal(usual.allows(address, 443), true, address);
});

test('the same addresses in other spellings', () => {
  for (const address of [
    '::ffff:127.0.0.1',
    '::FFFF:127.0.0.1',
    '::ffff:7f00:1',
    '0:0:0:0:0:ffff:7f00:1',
    '0000:0000:0000:0000:0000:ffff:7f00:0001',
    '0::ffff:10.1.2.3',
    '::ffff:169.254.169.254',
    '::127.0.0.1',
    '::7f00:1',
    '0:0:0:0:0:0:0:1',
    '0::1',
    '64:ff9b::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::a00:1',
    // Translated (RFC 2765), which is none of the mapped ones.
    '::ffff:0:127.0.0.1',
    '::ffff:0:7f00:1',
    '2002:7f00:1::',
    '2002:a00:1::1',
    'FE80::1',
    'fd00::2',
    '10.0.2.2',
  ]) {
    assert.notEqual(parseAddress(address), undefined, address);
    assert.equal(usual.allows(address, 80), false, address);
  }
});

test('what is no literal is not reached', () => {
  for (const text of [
    ...['', ' ', '127.1', '2130706433', '0x7f.0.0.1', '0x7f000001', '0177.0.0.1', '127.0.0.01', '8.8.8', '8.8.8.8.8'],
    ...[
      '256.1.1.1',
      '8.8.8.8 ',
      ' 8.8.8.8',
      '8.8.8.8.',
      '8.8.8.-8',
      '+8.8.8.8',
      '8.8.8.8/32',
      '8.8.8.8:80',
      '８.8.8.8',
    ],
    ...[
      'fe80::1%eth0',
      'fe80::1%1',
      '2606::1%25lo',
      '::1%lo',
      '[::1]',
      '[2606::1]',
      '2606::1::',
      ':::',
      ':',
      '1:',
      ':1',
    ],
    ...[
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '1:2:3:4:5:6:7::8',
      '12345::',
      'g::',
      '::1.2.3',
      '::1.2.3.4.5',
      '::1.2.3.256',
    ],
    ...[
      '::1.2.3.4:5',
      '1.2.3.4::',
      '1:2:3:4:5:6:7:1.2.3.4',
      '::ffff:127.0.0.01',
      '::ffff:0x7f.0.0.1',
      '2606::1\n',
      '2606::1\0',
    ],
    ...['example.com', 'localhost', '::'.repeat(50), `${'0'.repeat(100)}::1`],
  ]) {
    assert.equal(parseAddress(text), undefined, JSON.stringify(text));
    assert.equal(usual.allows(text, 80), false, JSON.stringify(text));
  }
  for (const port of [0, -1, 65_536, 1.5, NaN, '80', undefined]) assert.equal(usual.allows('8.8.8.8', port), false);
});

test('literals come out as they went in', () => {
  for (const [text, expected = text] of [
    ...[['1.2.3.4'], ['255.255.255.255'], ['0.0.0.0'], ['::ffff:1.2.3.4', '1.2.3.4'], ['::'], ['::1'], ['fd00::2']],
    ...[['1:2:3:4:5:6:7:8'], ['1::'], ['::1.2.3.4', '::102:304'], ['1:0:2::'], ['0:0:1::2:0:3', '::1:0:0:2:0:3']],
    ...[['0:1:0:1:0:1:0:1'], ['ABCD::EF', 'abcd::ef'], ['0:0:0:1::', '::1:0:0:0:0']],
  ]) {
    const address = parseAddress(text);
    assert.equal(formatAddress(address), expected);
    assert.deepEqual(parseAddress(formatAddress(address)), address);
  }
});

test('rules: addresses, ports, networks, names', () => {
  const allow = [
    '192.168.1.5:80',
    '10.0.0.0/8',
    '[fd12::1]:443',
    'fd12::2',
    'nas.lan:445',
    '*.Corp.example',
    '::ffff:172.16.0.0/112',
    '172.20.0.0/16:22',
    '[fd34::/16]:22',
    'fd35::/16:22',
  ];
  const some = policy({
    allow,
    deny: ['10.9.0.0/16', '93.184.216.34', '*.ads.example', 'one.example:25', '2a00::/16'],
  });
  const table = [
    [true, '192.168.1.5', 80],
    [false, '192.168.1.5', 81],
    [false, '192.168.1.6', 80],
    [true, '10.8.7.6', 1],
    [true, '::ffff:10.8.7.6', 1],
    [false, '10.9.7.6', 1],
    [true, 'fd12::1', 443],
    [false, 'fd12::1', 80],
    [true, 'fd12:0::2', 80],
    [true, '172.16.255.1', 80],
    [true, '172.20.255.1', 22],
    [false, '172.20.255.1', 80],
    [true, 'fd34::5', 22],
    [false, 'fd34::5', 80],
    [true, 'fd35::5', 22],
    [false, 'fd35::5', 23],
    [false, '172.17.0.1', 80],
    [false, '93.184.216.34', 443],
    [false, '::ffff:93.184.216.34', 443],
    [false, '2a00:1450::1', 443],
    [true, '192.168.7.7', 445, 'nas.lan'],
    [true, '192.168.7.7', 445, 'other.lan', 'NAS.LAN.'],
    [false, '192.168.7.7', 445, 'xnas.lan'],
    [false, '192.168.7.7', 445],
    [false, '192.168.7.7', 80, 'nas.lan'],
    [true, '192.168.8.8', 80, 'a.corp.example'],
    [true, '192.168.8.8', 80, 'a.b.corp.example'],
    [false, '192.168.8.8', 80, 'corp.example'],
    [false, '192.168.8.8', 80, 'acorp.example'],
    [false, '1.2.3.4', 80, 'x.ads.example'],
    [false, '1.2.3.4', 80, 'fine.example', 'x.ads.example'],
    [true, '1.2.3.4', 80, 'ads.example'],
    [false, '1.2.3.4', 25, 'one.example'],
    [true, '1.2.3.4', 26, 'one.example'],
  ];
  for (const [expected, ...call] of table) assert.equal(some.allows(...call), expected, call.join(' '));
  assert.deepEqual(
    ['x.ads.example', 'X.ADS.example.', 'ads.example', 'one.example'].map((name) => some.answers(name)),
    [false, false, true, true],
  );
});

test('this computer: by the gateway, and by the rule for it', () => {
  const everything = ['0.0.0.0/0', '::/0', '127.0.0.1', '*.example'];
  const open = policy({ allow: everything });
  for (const address of ['127.0.0.1', '127.5.5.5', '0.0.0.0', '::', '::1', '10.0.2.2', 'fd00::2', '::ffff:127.0.0.1'])
    assert.equal(open.allows(address, 80, 'a.example'), false, address);
  assert.equal(open.allows('192.168.0.1', 80), true);
  assert.equal(open.allows('fe80::1', 80), true);
  const host = policy({ allow: ['host:8080', 'HOST:9090'], deny: ['0.0.0.0/0', 'host:9090'] });
  assert.equal(host.allows('10.0.2.2', 8080), true);
  assert.equal(host.allows('fd00::2', 8080), true);
  assert.equal(host.allows('10.0.2.2', 80), false);
  assert.equal(host.allows('10.0.2.2', 9090), false);
  assert.equal(host.allows('127.0.0.1', 8080), false);
  const cards = { own: ['203.0.113.9', '2606::9', 'fe80::9%eth0'] };
  assert.equal(policy(cards).allows('203.0.113.9', 80), false);
  assert.equal(policy(cards).allows('::ffff:203.0.113.9', 80), false);
  assert.equal(policy(cards).allows('2606:0::9', 80), false);
  assert.equal(policy(cards).allows('203.0.113.8', 80), true);
  assert.equal(policy({ ...cards, allow: ['203.0.113.9:80'] }).allows('203.0.113.9', 80), true);
});

test('neighbours with addresses of the internet are private, unless the network is very large', () => {
  const card = (address, bits) => ({ address, cidr: bits === undefined ? null : `${address}/${bits}` });
  const own = ownAddresses(() => ({
    eth0: [card('203.0.113.9', 24), card('2606:4700:0:7::9', 64), card('fe80::9', 64)],
    tun0: [card('198.51.100.9', 1), card('2a00:1::9', 3)],
    ppp0: [card('192.0.2.9')],
    none: undefined,
  }))();
  const here = policy({ own, allow: ['203.0.113.77:80', '2606:4700:0:7::77'] });
  for (const address of [
    ...['203.0.113.9', '203.0.113.8', '::ffff:203.0.113.8', '203.0.113.255', '198.51.100.9', '192.0.2.9'],
    ...['2606:4700:0:7::9', '2606:4700:0:7:ffff::1', '2a00:1::9'],
  ])
    assert.equal(here.allows(address, 80), false, address);
  for (const address of ['203.0.112.9', '198.51.100.8', '192.0.2.8', '2606:4700:0:8::9', '2a00:1::8'])
    assert.equal(here.allows(address, 80), true, address);
  assert.equal(here.allows('203.0.113.77', 80), true);
  assert.equal(here.allows('203.0.113.77', 81), false);
  assert.equal(here.allows('2606:4700:0:7::77', 1), true);
});

test('rules that are none', () => {
  for (const [rule, message] of [
    ['', /^"" is no name, address, network such as 10.0.0.0\/8, or "host"$/],
    ['*', /is no name/],
    ['*.', /is no name/],
    ['a.*.example', /is no name/],
    ['http://example.com', /needs a port/],
    ['//example.com', /is no network such as/],
    ['example.com/24', /is no network such as/],
    ['a b', /is no name/],
    ['-a.example', /is no name/],
    [`${'a'.repeat(64)}.example`, /is no name/],
    [`${'a.'.repeat(130)}example`, /is no name/],
    ['exämple.com', /is no name/],
    ['127.1', /is no address: four numbers from 0 to 255, or IPv6/],
    ['10.0.0.256', /is no address/],
    ['0x7f000001', /is no address/],
    ['localhost', /a guest reaches this computer as "host"/],
    ['10.0.2.2', /is the gateway, which is this computer; write "host"/],
    ['[fd00::2]:80', /is the gateway/],
    ['example.com:', /needs a port from 1 to 65535/],
    ['example.com:0', /needs a port/],
    ['host:65536', /needs a port/],
    ['1.2.3.4:http', /needs a port/],
    ['1.2.3.4:080', /needs a port/],
    ['[::1', /is no IPv6 address/],
    ['[1.2.3.4]:80', /has brackets around what is no IPv6 address/],
    ['fe80::1%eth0', /is no IPv6 address without a zone/],
    ['fe80::1%eth0/64', /is no network/],
    ['1:2:3', /is no IPv6 address/],
    ['10.0.0.0/33', /needs a number of bits from 0 to 32 after the slash/],
    ['fd00::/129', /from 0 to 128/],
    ['10.0.0.0/', /needs a number of bits/],
    ['10.0.0.0/08', /needs a number of bits/],
    ['10.0.0.0/8/8', /needs a number of bits/],
    ['10.0.0.0/8:0', /needs a port/],
    ['10.0.0.0/8:80:80', /needs a number of bits/],
    ['10.1.2.3/8', /^"10.1.2.3\/8" has bits after the first 8; write 10.0.0.0\/8$/],
    ['fd00::1/64', /write fd00::\/64/],
  ])
    assert.throws(() => parseRule(rule), { message }, rule);
  assert.deepEqual(parseNetwork('::ffff:0:0/96'), { address: { version: 4, value: 0n }, length: 0 });
  assert.equal(parseNetwork('::ffff:0:0/95'.replace('ffff', 'fffe')).address.version, 6);
});
