// SPDX-License-Identifier: MIT
// Captures of the network card, read by tshark: what busybox's programs do with servers on loopback.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { createServer as createHttpServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { build, runCli } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const MIB = 1 << 20;
const GATEWAY = '10.0.2.2';
const GATEWAY6 = 'fd00::2';

/** What tshark is to check, besides what it does anyway. */
const CHECKS = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);

/** The lines that tshark prints of the frames for which `filter` is true. */
async function frames(file, filter, fields = []) {
  const columns = fields.length === 0 ? [] : ['-T', 'fields', ...fields.flatMap((field) => ['-e', field])];
  const words = ['-n', '-r', file, ...CHECKS, '-Y', filter, ...columns];
  const { stdout } = await promisify(execFile)('tshark', words, { maxBuffer: 64 * MIB });
  return stdout.split('\n').filter((line) => line !== '');
}

const count = async (file, filter) => (await frames(file, filter)).length;

const TRANSPORTS = ['ip', 'tcp', 'udp', 'icmp', 'icmpv6'];

/** Seconds of the shortest timer by which TCP sends again, which is that of Linux. */
const SHORTEST_TIMER = 0.2;

/**
 * The streams that stood still for so long, because this computer was too busy: a timer may have run out there, and what was only
 * late was sent again. In the others, nothing may be sent again.
 */
async function heldUp(file) {
  return [...new Set(await frames(file, `tcp.time_delta >= ${SHORTEST_TIMER}`, ['tcp.stream']))];
}

/** Nothing in the file is wrong, and nothing was sent twice, as on a link that loses nothing. */
async function assertClean(file) {
  const busy = await heldUp(file);
  const others = busy.length === 0 ? '' : ` && !(tcp.stream in {${busy.join(', ')}})`;
  const wrong = [
    ...TRANSPORTS.map((protocol) => `${protocol}.checksum.status == "Bad"`),
    '_ws.malformed',
    '_ws.short',
    '_ws.expert.severity == error',
    ...['retransmission', 'lost_segment', 'ack_lost_segment', 'out_of_order', 'duplicate_ack'].map(
      (what) => `(tcp.analysis.${what}${others})`,
    ),
  ];
  assert.deepEqual(await frames(file, wrong.join(' || ')), []);
  // The sums were looked at. No packet has none.
  for (const protocol of TRANSPORTS) {
    const quoted = protocol.startsWith('icmp') ? '' : ' && !icmp.type == 3 && !icmpv6.type == 1';
    const good = `${protocol}.checksum.status == "Good"`;
    assert.deepEqual(await frames(file, `${protocol}${quoted} && !(${good})`), [], protocol);
    assert.notEqual(await count(file, good), 0, protocol);
  }
}

/** Servers on loopback, by both protocols of IP. */
async function serve(suite) {
  const content = Buffer.alloc(4 * MIB, 'content ');
  const web = createHttpServer((_request, response) => response.end(content));
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  const datagrams = createSocket('udp4');
  datagrams.on('message', (bytes, from) => datagrams.send(bytes, from.port, from.address));
  suite.after(() => {
    web.closeAllConnections();
    for (const server of [web, echo, datagrams]) server.close();
  });
  web.listen(0, '127.0.0.1');
  echo.listen(0, '::1');
  datagrams.bind(0, '127.0.0.1');
  await Promise.all([web, echo, datagrams].map((server) => once(server, 'listening')));
  return { web: web.address().port, echo: echo.address().port, datagrams: datagrams.address().port };
}

/** Uses each protocol, and prints how many frames the guest's driver has sent and got. */
const script = ({ web, echo, datagrams }) => `
  set -e
  until ip -6 addr show eth0 | grep -q 'fd00:.*global'; do :; done
  wget -q -O /tmp/content http://${GATEWAY}:${web}/
  nc ${GATEWAY6} ${echo} < /tmp/content | cmp - /tmp/content
  nc ${GATEWAY6} ${echo} < /etc/hostname | cmp - /etc/hostname
  echo datagram | nc -u -w 1 ${GATEWAY} ${datagrams} | grep -q datagram
  ping -q -c 2 -i 0.1 ${GATEWAY} > /tmp/ping
  ping -q -6 -c 2 -i 0.1 -s 1400 ${GATEWAY6} >> /tmp/ping
  nslookup localhost > /tmp/names || true
  udhcpc -f -q -n -i eth0 -s /bin/true 2> /tmp/lease
  grep -q 'lease of 10.0.2.15' /tmp/lease
  cat /sys/class/net/eth0/statistics/tx_packets /sys/class/net/eth0/statistics/rx_packets
`;

/** What the script did is in the file. */
async function assertComplete(file, printed) {
  await assertClean(file);
  // Without what errors quote: the guest has an address already, and listens for no answer of DHCP.
  const answers = {
    'tcp.flags.syn == 1 && tcp.flags.ack == 0 && ip': 1,
    'tcp.flags.syn == 1 && tcp.flags.ack == 0 && ipv6': 2,
    'icmp.type == 8': 2,
    'icmp.type == 0': 2,
    'icmpv6.type == 128': 2,
    'icmpv6.type == 129': 2,
    'dhcp.option.dhcp == 1 && !icmp': 1,
    'dhcp.option.dhcp == 5 && !icmp': 1,
    'udp && frame contains "datagram"': 2,
  };
  for (const [filter, expected] of Object.entries(answers)) assert.equal(await count(file, filter), expected, filter);
  for (const filter of ['arp', 'icmpv6.type == 134', 'dns.flags.response == 0', 'dns.flags.response == 1'])
    assert.notEqual(await count(file, filter), 0, filter);
  // Segments that stand for many, and all bytes of the page.
  assert.notEqual(await count(file, 'tcp.len > 1460'), 0);
  assert.equal(await count(file, `http.content_length == ${4 * MIB}`), 1);
  // From the first frame on: there is no frame that the driver knows and the file does not.
  const [sent, received] = printed.trim().split('\n').map(Number);
  assert(sent > 0 && received > 0, printed);
  const all = await count(file, 'frame');
  assert(all >= sent + received, `${all} frames, and the driver has ${sent} + ${received}`);
}

function folderFor(suite) {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-capture-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test('--pcap', async (suite) => {
  const file = join(folderFor(suite), 'file.pcap');
  const network = ['--network=nat', '--network-allow', 'host'];
  const line = script(await serve(suite));
  const words = ['exec', '--memory', '128', ...network, '--pcap', file, '--', 'sh', '-c', line];
  const { status, stdout, stderr } = await runCli(words);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  await assertComplete(file, stdout);
});

test('files that cannot be written', async (suite) => {
  const folder = folderFor(suite);
  for (const [given, expected] of [
    [['--pcap', join(folder, 'x')], /--pcap needs a network card/],
    [['--network=nat', '--pcap', folder], /--pcap .*: it is a folder/],
    [['--network=nat', '--pcap', join(folder, 'x/y')], /--pcap .*: there is no such folder/],
  ]) {
    const wrong = await runCli(['exec', ...given, '--', 'true']);
    assert.equal(wrong.status, 2, wrong.stderr);
    assert.match(wrong.stderr, expected);
  }
  // The machine goes on.
  const full = await runCli(['exec', '--network=nat', '--pcap', '/dev/full', '--', 'ping', '-c', '1', GATEWAY]);
  assert.equal(full.status, 0, full.stderr);
  assert.match(full.stdout, /1 packets received/);
  assert.equal(full.stderr, 'auklet: the capture in /dev/full has ended: the disk is full\n');
});

test('a stream, from a host in a worker', async (suite) => {
  const ports = await serve(suite);
  const file = join(folderFor(suite), 'file.pcap');
  const network = { type: 'nat', allow: ['host'] };
  const machine = await startMachine({ exec: true, memory: 128, network });
  suite.after(() => machine.dispose());
  const capture = machine.network.capture();
  assert.throws(() => machine.network.capture(), { code: 'failed' });
  const written = pipeline(capture.readable, createWriteStream(file));
  await machine.started;
  const { status, stdout, stderr } = await machine.exec(['sh', '-c', script(ports)]);
  assert.equal(status, 0, new TextDecoder().decode(stderr));
  capture.stop();
  await written;
  assert.equal(capture.lost, 0);
  await assertComplete(file, new TextDecoder().decode(stdout));

  // One that nobody reads is bounded, and the network goes on.
  const unread = machine.network.capture();
  for (let megabytes = 0; megabytes < 40; megabytes += 4) {
    const { status: again } = await machine.exec(['wget', '-q', '-O', '/dev/null', `http://${GATEWAY}:${ports.web}/`]);
    assert.equal(again, 0);
  }
  unread.stop();
  const later = join(folderFor(suite), 'later.pcap');
  await pipeline(unread.readable, createWriteStream(later));
  assert(unread.lost > 0);
  assert(statSync(later).size <= 32 * MIB);
  assert.notEqual(await count(later, 'tcp'), 0);

  // The machine's end is that of its capture.
  const last = machine.network.capture();
  await machine.dispose();
  assert((await Array.fromAsync(last.readable)).length <= 1);
  assert.throws(() => machine.network.capture(), { code: 'disposed' });
});

test('a machine without a network', async (suite) => {
  const machine = await startMachine({ memory: 64 });
  suite.after(() => machine.dispose());
  assert.throws(() => machine.network.capture(), { code: 'failed', message: /without a network/ });
});
