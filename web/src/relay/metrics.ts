// SPDX-License-Identifier: MIT
// What a relay counts, in Prometheus' text format. Nothing here tells who has
// connected, or where to.

/** What is counted up. */
const COUNTERS = {
  clients_total: 'WebSockets that were opened',
  refused_total: 'WebSockets that were refused, by reason',
  streams_total: 'streams that were opened, by kind',
  closed_total: 'streams that the relay has closed, by reason',
  bytes_total: 'bytes of streams, by direction as the client sees it',
  datagrams_dropped_total: 'datagrams for which there was no room, by direction',
} as const;

/** What goes up and down. */
const GAUGES = {
  clients: 'WebSockets that are open',
  streams: 'streams that are open',
  listeners: 'ports that clients listen on',
  waiting_bytes: 'bytes that wait in the relay, by direction',
} as const;

type Name = keyof typeof COUNTERS | keyof typeof GAUGES;

export class Metrics {
  private readonly values = new Map<string, number>();

  /** `label` is a name and a value, such as `direction="up"`. */
  add(name: Name, count = 1, label = ''): void {
    const key = label === '' ? name : `${name}{${label}}`;
    this.values.set(key, (this.values.get(key) ?? 0) + count);
  }

  get(name: Name, label = ''): number {
    return this.values.get(label === '' ? name : `${name}{${label}}`) ?? 0;
  }

  text(): string {
    const lines: string[] = [];
    const list = (names: Record<string, string>, type: string) => {
      for (const [name, help] of Object.entries(names)) {
        lines.push(`# HELP auklet_relay_${name} ${help}`, `# TYPE auklet_relay_${name} ${type}`);
        const own = [...this.values].filter(([key]) => key === name || key.startsWith(`${name}{`));
        // A counter that is missing looks like a relay that is broken.
        for (const [key, value] of own.length > 0 ? own : [[name, 0] as const])
          lines.push(`auklet_relay_${key} ${value}`);
      }
    };
    list(COUNTERS, 'counter');
    list(GAUGES, 'gauge');
    return `${lines.join('\n')}\n`;
  }
}
