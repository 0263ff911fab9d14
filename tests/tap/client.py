# SPDX-License-Identifier: MIT
"""The client of tap.cpp: transfers with Linux's TCP through the translator."""

import argparse
import errno
import socket
import struct
import threading
import time

FAR = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
PERIOD = 1_000_003


def pattern(length):
    """Bytes as tap.cpp makes them."""
    period = bytes(number * 2654435761 >> 24 & 0xFF for number in range(PERIOD))
    return (period * (length // PERIOD + 1))[:length]


def connect(port, family=socket.AF_INET):
    connection = socket.socket(family)
    connection.settimeout(120)
    connection.connect((FAR[family], port))
    return connection


def read_all(connection):
    parts = []
    while part := connection.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def rate(what, length, began):
    seconds = time.monotonic() - began
    print(f"{what}: {length >> 20} MiB, {length / seconds / 1e6:.0f} MB/s", flush=True)


def download(megabytes, expected, family):
    began = time.monotonic()
    with connect(1000 + megabytes, family) as connection:
        data = read_all(connection)
    rate("from the far side", len(data), began)
    assert data == expected[: megabytes << 20], "other bytes"


def upload(megabytes, data, family):
    began = time.monotonic()
    with connect(9, family) as connection:
        connection.sendall(data[: megabytes << 20])
        connection.shutdown(socket.SHUT_WR)
        assert int(read_all(connection)) == megabytes << 20
    rate("to the far side", megabytes << 20, began)


def echo(megabytes, data, family):
    began = time.monotonic()
    with connect(7, family) as connection:

        def send():
            connection.sendall(data[: megabytes << 20])
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received = read_all(connection)
        sender.join()
    rate("there and back", len(received), began)
    assert received == data[: megabytes << 20], "other bytes"


def fails(port, error):
    began = time.monotonic()
    try:
        connect(port)
    except OSError as failure:
        assert failure.errno == error, failure
        print(f"port {port}: {errno.errorcode[error]} after {(time.monotonic() - began) * 1000:.1f} ms", flush=True)
        return
    raise AssertionError("connected")


def slow_reader(expected):
    """A small buffer, and a reader that does other things meanwhile: the window closes, and opens again."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect((FAR[socket.AF_INET], 1002))
        data = bytearray()
        while part := connection.recv(40_000):
            data += part
            if len(data) < 300_000:
                time.sleep(0.02)
    assert data == expected[: 2 << 20], "other bytes"


def many(count):
    began = time.monotonic()
    for _ in range(count):
        with connect(7) as connection:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
    print(f"{count / (time.monotonic() - began):.0f} connections a second", flush=True)
    connections = [connect(7) for _ in range(1000)]
    for number, connection in enumerate(connections):
        connection.sendall(struct.pack("!I", number))
    for number, connection in enumerate(connections):
        assert struct.unpack("!I", connection.recv(4)) == (number,)
        connection.close()


def round_trips():
    with connect(7) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        times = []
        for _ in range(1000):
            began = time.monotonic()
            connection.sendall(b"x")
            connection.recv(1)
            times.append(time.monotonic() - began)
    print(f"round trip of a byte: {sorted(times)[500] * 1e6:.0f} us", flush=True)


def datagrams():
    for family, far in FAR.items():
        with socket.socket(family, socket.SOCK_DGRAM) as connection:
            connection.settimeout(10)
            connection.connect((far, 7))
            for length in (0, 1, 1400, 9000, 65_000):
                message = bytes(length)
                connection.send(message)
                assert connection.recv(65_536) == message
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(10)
        connection.connect((FAR[socket.AF_INET], 5))
        connection.send(b"x")
        try:
            connection.recv(1)
        except ConnectionRefusedError:
            return
        raise AssertionError("not refused")


def counters_of_tcp():
    with open("/proc/net/snmp", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("Tcp:")]
    return dict(zip(names, values, strict=True))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--lossy", action="store_true", help="frames get lost: no datagrams, retransmissions allowed")
    arguments = parser.parse_args()
    data = pattern(arguments.megabytes << 20)
    for family in FAR:
        download(arguments.megabytes, data, family)
        upload(arguments.megabytes, data, family)
        echo(arguments.megabytes, data, family)
    fails(1, errno.ECONNREFUSED)
    fails(2, errno.EHOSTUNREACH)
    fails(3, errno.EHOSTUNREACH)
    slow_reader(pattern(2 << 20))
    many(200 if arguments.lossy else 2000)
    if not arguments.lossy:
        round_trips()
        datagrams()
        counters = counters_of_tcp()
        assert counters["RetransSegs"] == "0" and counters["InErrs"] == "0", counters
    print("good")


main()
