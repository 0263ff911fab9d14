// SPDX-License-Identifier: MIT
// The root image: users and set-user-ID programs, time zones, files put under mount points, the terminal's name, the log,
// the end.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSession, build, exec } from './machines.mjs';
import { PROMPT } from './session.mjs';

/** Runs a script in a machine of its own; what it prints on both outputs. */
async function run(script, words = []) {
  const { status, stdout, stderr } = await exec(['sh', '-c', script], { words });
  return { status, output: stdout + stderr };
}

const USER = 'adduser -D u; echo root:secret | chpasswd; echo u:old | chpasswd; ';

for (const [name, script, expected] of [
  ['su to a user', 'su u -c "id -u"', '1000\n'],
  ['su to root with the password', `su u -c 'echo secret | su root -c "id -u"'`, 'Password: \n0\n'],
  ['su with a wrong password', `su u -c 'echo wrong | su root -c "id -u"'`, 'Password: \nsu: incorrect password\n'],
  [
    'su keeps nothing of root for the user',
    'su u -c "cat /etc/shadow"',
    /^cat: .*\/etc\/shadow.*: Permission denied\n$/,
  ],
  [
    'passwd of a user',
    `su u -c 'printf "old\\nNew-pass-1\\nNew-pass-1\\n" | passwd' > /dev/null 2>&1; su nobody -s /bin/sh -c 'echo New-pass-1 | su u -c "id -un"'`,
    /\nu\n$/,
  ],
  ['passwd of a user for root', 'su u -c "passwd root"', /^passwd: .*can't change.*\n$/],
  [
    'crontab of a user',
    `su u -c 'echo "5 4 * * * true" | crontab -; crontab -l'; ls -l /var/spool/cron/crontabs/u | cut -c1-10`,
    '5 4 * * * true\n-rw-------\n',
  ],
  ['ping of a user', 'su u -c "ping -c 1 -q 127.0.0.1 | grep packets"', /^1 packets transmitted, 1 packets received/],
  ['mount of a user', 'su u -c "mount -t tmpfs none /mnt" 2>&1', /permission denied|must be root|only root/i],
  [
    'another applet by the set-user-ID program',
    'su u -c "exec -a id /bin/busybox-suid"; ln -s /bin/busybox-suid /tmp/sh; su u -c "/tmp/sh -c id"',
    /^busybox-suid: .*\nbusybox-suid: .*\n$/,
  ],
  [
    '/etc/busybox.conf says who',
    `printf '[SUID]\\nsu = s-- root.root\\n' > /etc/busybox.conf; su u -c 'echo secret | su root -c id'`,
    'su: you have no permission to run this applet\n',
  ],
  [
    'a process of a user is the user’s',
    `su u -c 'ls /proc/$$/fd > /dev/null && grep -c . /proc/self/environ > /dev/null && echo mine'`,
    'mine\n',
  ],
  ['only one program is set-user-ID', 'find / -xdev -perm -4000 -type f', '/bin/busybox-suid\n'],
]) {
  test(name, async () => {
    const { output } = await run(USER.replaceAll(';', ' > /dev/null 2>&1;') + script);
    if (typeof expected === 'string') assert.equal(output, expected);
    else assert.match(output, expected);
  });
}

test('syslogd', async () => {
  const { output } = await run(
    'syslogd -O /tmp/messages; until [ -S /dev/log ]; do usleep 10000; done; logger hello; until [ -s /tmp/messages ] && grep hello /tmp/messages > /dev/null; do usleep 10000; done; grep -c hello /tmp/messages',
    ['--timeout', '60'],
  );
  assert.equal(output, '1\n');
});

test('tc', async () => {
  const { output } = await run('tc 2>&1 | grep -c qdisc');
  assert.match(output, /^[1-9]/);
});

test('time zones', async () => {
  const zones = [
    ['Europe/Berlin', '2023-11-14 23:13:20 CET'],
    ['America/New_York', '2023-11-14 17:13:20 EST'],
    ['Asia/Kolkata', '2023-11-15 03:43:20 IST'],
    ['CET-1CEST,M3.5.0,M10.5.0/3', '2023-11-14 23:13:20 CET'],
    [':UTC', '2023-11-14 22:13:20 UTC'],
    // Names that others replaced, a zone without letters, one south of the equator, and a time before the rules of today.
    ['US/Eastern', '2023-11-14 17:13:20 EST'],
    ['Asia/Calcutta', '2023-11-15 03:43:20 IST'],
    ['America/Sao_Paulo', '2023-11-14 19:13:20 -03'],
    ['Australia/Lord_Howe', '2023-11-15 09:13:20 +11'],
    ['', '2023-11-14 22:13:20 UTC'],
  ];
  const { output } = await run(
    `for z in ${zones.map(([zone]) => `"${zone}"`).join(' ')}; do TZ=$z date -d @1700000000 '+%F %T %Z'; done; TZ=Europe/Berlin date -d @-1700000000 '+%F %T %Z'; TZ=Europe/Berlin date -d @4087000000 '+%F %T %Z'`,
  );
  assert.equal(
    output,
    `${zones.map(([, time]) => `${time}\n`).join('')}1916-02-18 02:46:40 CET\n2099-07-06 07:46:40 CEST\n`,
  );
});

test('the zone that /etc/localtime names', async () => {
  const { output } = await run(
    'unset TZ; rm -f /etc/localtime; date -d @0 "+%T %Z"; ln -s /usr/share/zoneinfo/Asia/Tokyo /etc/localtime; date -d @0 "+%T %Z"',
  );
  assert.equal(output, '00:00:00 UTC\n09:00:00 JST\n');
});

test('a zone of another name is the same file', async () => {
  const { output } = await run('cd /usr/share/zoneinfo; [ US/Eastern -ef America/New_York ] && find . -type f | wc -l');
  assert(Number(output) > 590, output);
});

test('the machine’s time zone', async (suite) => {
  const { session } = await bootSession(suite, { kernelArguments: 'TZ=Asia/Tokyo' });
  await session.waitFor(PROMPT);
  assert.equal(await session.run('date -d @0 "+%T %Z"; env -i date -d @0 "+%T %Z"'), '09:00:00 JST\n09:00:00 JST\n');
  assert.equal(
    await session.run('readlink /etc/localtime; TZ=UTC date -d @0 +%T'),
    '/usr/share/zoneinfo/Asia/Tokyo\n00:00:00\n',
  );
});

test('a time zone that is none', async (suite) => {
  const { session } = await bootSession(suite, { kernelArguments: 'TZ=Europe/Atlantis' });
  const { before } = await session.waitFor(PROMPT);
  assert.match(before, /sysinit: TZ: there is no time zone Europe\/Atlantis/);
});

test('the time zone of commands of the owner', async (suite) => {
  const { startMachine } = await import(join(build, 'cli/machine.mjs'));
  const machine = await startMachine({ exec: true, kernelArguments: 'TZ=CET-1CEST,M3.5.0,M10.5.0/3' });
  suite.after(() => machine.dispose());
  const date = async (options) =>
    new TextDecoder().decode((await machine.exec(['date', '-d', '@0', '+%T %Z'], options)).stdout);
  assert.equal(await date(), '01:00:00 CET\n');
  assert.equal(await date({ environment: { TZ: 'Asia/Tokyo' } }), '09:00:00 JST\n');
});

test('files put under mount points are there', async (suite) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'small'), 'content\n', { mode: 0o640 });
  // More than a piece, and not a multiple of one.
  writeFileSync(join(folder, 'large'), Buffer.alloc(300_001, 'abc'));
  writeFileSync(join(folder, 'suid'), '', { mode: 0o755 });
  const places = ['/tmp/a', '/tmp/deep/er/b', '/run/c', '/var/run/d', '/dev/shm/e', '/dev/f', '/var/tmp/g'];
  const words = [
    ...places.flatMap((place) => ['--put', `${folder}/small:${place}`]),
    ...['--put', `${folder}/large:/tmp/large`, '--put', `${folder}/suid:/run/deep/suid`],
  ];
  const { output } = await run(
    `stat -c '%n %a %u %s' ${places.join(' ')} /run/d /tmp /run /dev/shm /tmp/deep /tmp/deep/er /run/deep/suid /dev; cat ${places.join(' ')} | uniq -c | awk '{ print $1, $2 }'; md5sum < /tmp/large; mount | grep -c " on /\\(tmp\\|run\\|dev\\|dev/shm\\) type"; umount /tmp; ls -A /tmp`,
    words,
  );
  assert.equal(
    output,
    places.map((place) => `${place} 640 0 8\n`).join('') +
      '/run/d 640 0 8\n' +
      output.match(
        /^\/tmp 1777 0 \d+\n\/run 755 0 \d+\n\/dev\/shm 1777 0 \d+\n\/tmp\/deep 755 0 \d+\n\/tmp\/deep\/er 755 0 \d+\n\/run\/deep\/suid 755 0 0\n\/dev 755 0 \d+\n/m,
      )?.[0] +
      '7 content\n' +
      'e158cae85404a6607eba38ad1ba2a270  -\n4\n',
  );
});

for (const path of ['/proc/x', '/sys/kernel/x', '/dev/pts/x'])
  test(`no file can be put at ${path}`, async () => {
    const { status, stderr } = await exec(['true'], { words: ['--put', `/etc/hostname:${path}`] });
    assert.notEqual(status, 0);
    assert.match(stderr, new RegExp(`^auklet: .*${path}.*no file can be put`));
  });

test('the terminal of the console', async (suite) => {
  const { session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  assert.equal(await session.run('echo $TERM'), 'xterm-256color\n');
});

test('a terminal that the owner names', async (suite) => {
  const { session } = await bootSession(suite, { kernelArguments: 'TERM=vt220' });
  await session.waitFor(PROMPT);
  assert.equal(await session.run('echo $TERM'), 'vt220\n');
});

test('poweroff says nothing of umount', async (suite) => {
  const { machine, session } = await bootSession(undefined);
  suite.after(() => machine.dispose());
  await session.waitFor(PROMPT);
  await session.run('mkdir /mnt/a; mount -t tmpfs a /mnt/a; cd /mnt/a; echo x > /tmp/y');
  await session.write('poweroff\r');
  assert.equal(await machine.halted, 'poweroff');
  assert.doesNotMatch(session.transcript, /umount/);
});
