#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in the guest: soak.sh SECONDS. Loads of many kinds at once, each in an endless loop whose every result is
# checked. A line each 10 seconds; at the end "soak: passed" or what failed. Beside it lie the folder programs
# (NAME and NAME.expected) and the program spin.

here=${0%/*}
directory=/tmp/soak
seconds=$1

# status_of PID: waits for it; without the shell's message about a signal.
status_of() {
	{ wait "$1"; } 2> /dev/null
}

# ---- the loads: one round each; they say what failed, or nothing ----------------------------------------------------

shell_round() {
	i=0 sum=0
	while [ $i -lt 2000 ]; do
		i=$((i + 1)) sum=$((sum + i * i % 7))
	done
	[ $sum = 4003 ] || echo "the sum is $sum"
	text=$(printf 'a%s' $(seq 200))
	[ ${#text} = 692 ] || echo "the text is ${#text} long"
	text=$(echo "$text" | sed 's/a\(1[0-9]*\)/<\1>/g; s/a//g')
	case $text in '<1>23456789<10><11>'*'<199>200') ;; *) echo "sed: $text" ;; esac
}

pipe_round() {
	count=$(seq 20000 | tr 0-9 a-j | sort | uniq | wc -l)
	[ "$count" = 20000 ] || echo "$count lines"
	sum=$(seq 20000 | awk '{ sum += $1 } END { print sum }')
	[ "$sum" = 200010000 ] || echo "the sum is $sum"
	count=$(dd if=/dev/zero bs=64k count=64 2> /dev/null | cat | tr '\0' x | cat | wc -c)
	[ "$count" = 4194304 ] || echo "$count bytes"
	mkfifo fifo
	seq 1000 > fifo &
	writer=$!
	text=$(md5sum < fifo)
	wait $writer || echo "the writer of the fifo ended with $?"
	rm fifo
	[ "$text" = "$(seq 1000 | md5sum)" ] || echo "fifo: $text"
}

# shellcheck disable=SC2002,SC2094 # the pipes are what is tested, and nothing writes what it reads
sort_round() {
	awk -v seed="$round" 'BEGIN { srand(seed); for (i = 0; i < 4000; ++i) print int(rand() * 1000000) }' > numbers
	sort -n numbers > up
	sort -n -c up || echo "not sorted"
	sort -rn numbers | tac | cmp - up || echo "sorted both ways it differs"
	[ "$(sha256sum < up)" = "$(cat up | sha256sum -)" ] || echo "the hash differs"
	gzip < numbers | gunzip | cmp - numbers || echo "gunzip gives something else"
	split -l 500 numbers part.
	cat part.* | cmp - numbers || echo "the parts are not the whole"
	rm part.*
}

tree_round() {
	for folder in 1 2 3 4 5 6; do
		mkdir -p tree/$folder/deep/er
		for file in 1 2 3 4 5 6 7; do
			seq $((folder * file * 10)) > tree/$folder/deep/er/$file
		done
		ln -s deep/er/1 tree/$folder/link
	done
	cp -a tree copy
	tar -c tree | (mkdir -p untarred && tar -x -C untarred)
	diff -r tree copy || echo "the copy differs"
	diff -r tree untarred/tree || echo "the archive differs"
	mv copy/1 copy/moved
	count=$(find copy | wc -l)
	[ "$count" = 67 ] || echo "$count files"
	rm -r tree copy untarred || echo "rm"
}

children_round() {
	children=
	for status in 1 2 3 4 5 6 7 8; do
		(exit $status) &
		children="$children $!"
	done
	status=0
	for child in $children; do
		status=$((status + 1))
		wait "$child"
		[ $? = $status ] || echo "child $status has another status"
	done
	text=$( (trap 'echo caught' USR1; kill -USR1 "$(sh -c 'echo $PPID')"; echo after) )
	[ "$text" = 'caught
after' ] || echo "trap: $text"
	(sleep 1000) &
	kill -TERM $!
	status_of $!
	[ $? = 143 ] || echo "a sleeper was not ended by SIGTERM"
}

# Programs that make no system call.
spin_round() {
	set -- KILL TERM INT RTMIN SEGV
	shift $((round % 5))
	# An asynchronous list ignores SIGINT without job control.
	[ "$1" != INT ] || set -- HUP
	"$here/spin" > /dev/null &
	spinner=$!
	usleep $((round * 7919 % 400000))
	kill -s "$1" $spinner
	status_of $spinner
	status=$?
	[ $status = $((128 + $(kill -l "$1"))) ] || echo "a spinner had status $status after $1"
	timeout -s KILL 1 "$here/spin" > /dev/null &
	status_of $!
	status=$?
	[ $status = 137 ] || echo "timeout returned $status"
}

programs_round() {
	for expected in "$here"/programs/*.expected; do
		[ ! -e "$directory/stop" ] || break
		program=${expected%.expected}
		if [ -e "$program.stdin" ]; then input=$program.stdin; else input=/dev/null; fi
		if [ -e "$program.status" ]; then wanted=$(cat "$program.status"); else wanted=0; fi
		"$program" < "$input" > output 2> errors
		status=$?
		[ "$status" = "$wanted" ] || echo "${program##*/}: status $status; $(cat errors)"
		cmp output "$expected" || diff "$expected" output
	done
}

proc_round() {
	ps > /dev/null || echo "ps: $?"
	top -b -n 1 > /dev/null || echo "top: $?"
	# Processes end meanwhile.
	cat /proc/[0-9]*/stat /proc/[0-9]*/status /proc/[0-9]*/maps /proc/[0-9]*/cmdline > /dev/null 2>&1
	[ "$(cat /proc/$$/comm)" = soak.sh ] || echo "comm: $(cat /proc/$$/comm)"
	usleep 100000
}

# ---- running them ---------------------------------------------------------------------------------------------------

loads="shell pipe sort tree children spin programs proc"

# load NAME: rounds until the file stop is there.
load() {
	mkdir "$directory/$1" && cd "$directory/$1" || exit
	round=0
	while [ ! -e "$directory/stop" ]; do
		said=$("$1_round" 2>&1)
		[ -z "$said" ] || echo "$1, round $round: $said" >> "$directory/failures"
		round=$((round + 1))
		echo $round > "$directory/$1.rounds"
	done
}

memory() {
	awk '/^MemAvailable:/ { print $2 }' /proc/meminfo
}

state() {
	text=
	for name in $loads; do
		text="$text $name $(cat "$directory/$name.rounds" 2> /dev/null || echo 0)"
	done
	echo "soak: $1 s, $(memory) KiB available,$text"
}

if [ -e "$directory" ]; then
	echo "soak: $directory is there already"
	exit 1
fi
mkdir "$directory"
# From here on only new messages count.
dmesg -c > /dev/null
for name in $loads; do
	load "$name" &
done
now=0
while [ "$now" -lt "$seconds" ] && [ ! -e "$directory/failures" ]; do
	sleep 10
	now=$((now + 10))
	state "$now"
done
touch "$directory/stop"
wait
state end
# An interrupt that "took" long on a host with fewer free cores than the machine has CPUs: its thread had no core.
dmesg -r | grep -E '^<[0-4]>' | grep -v 'hrtimer: interrupt took' >> "$directory/failures"
# shellcheck disable=SC2009 # BusyBox may lack pgrep
left=$(ps | grep -c '[/]spin')
[ "$left" = 0 ] || echo "$left spinners are left" >> "$directory/failures"
for name in $loads; do
	[ -s "$directory/$name.rounds" ] || echo "$name did not end a round" >> "$directory/failures"
done
if [ -s "$directory/failures" ]; then
	cat "$directory/failures"
	echo "soak: failed"
else
	rm -r "$directory"
	echo "soak: passed"
fi
