# SPDX-License-Identifier: MIT
# Reads the compiler wrapper's command line as the driver of clang would. If
# nothing is to be linked, clang does all of it here, and the wrapper ends.
#
# shellcheck shell=sh
# shellcheck disable=SC2086 # lists of flags are meant to be split
# The parts of the wrapper share their variables.
# shellcheck disable=SC2034,SC2154

# A list of words is text in which each word is quoted for eval.
quote() {
	quoted= unquoted=$1
	while :; do
		case $unquoted in *\'*) ;; *) break ;; esac
		quoted="$quoted${unquoted%%\'*}'\\''" unquoted=${unquoted#*\'}
	done
	quoted="'$quoted$unquoted'"
}
compile_args= link_args= sources=
to_compile() { for w; do quote "$w"; compile_args="$compile_args $quoted"; done; }
to_link() { for w; do quote "$w"; link_args="$link_args $quoted"; done; }

# Takes an option of the linker. Options that only mean something for ELF are
# dropped, so that makefiles for Linux work. An option that asks for a kind of
# output which cannot be made is an error.
linker_option() {
	case $1 in
		--start-group|--end-group|'-('|'-)'|--as-needed|--no-as-needed) ;;
		-Bstatic|-Bdynamic|-Bsymbolic*|-dn|-dy|-static|--eh-frame-hdr) ;;
		--warn-common|--sort-common*|--sort-section=*|--hash-style=*) ;;
		--no-undefined|--enable-new-dtags|--disable-new-dtags|-O?|-rpath=*|-rpath-link=*) ;;
		-s|--strip-all) strip=yes ;;
		-S|--strip-debug) to_link --strip-debug ;;
		-shared|--shared|-Bshareable) fail "shared libraries are not supported; link statically" ;;
		*) to_link "$1" ;;
	esac
}
linker_options() {
	while [ $# -gt 0 ]; do
		case $1 in
			--sort-section|--hash-style|-rpath|-rpath-link|-soname|-h) shift ;;
			-z)
				shift
				case ${1-} in
					stack-size=*) to_link -z "$1" ;;
				esac ;;
			-Map|--Map)
				shift
				to_link "--Map=${1-}" ;;
			*) linker_option "$1" ;;
		esac
		if [ $# -gt 0 ]; then shift; fi
	done
}

# Prints the names in a file of -fno-fork-in, each after a comma. The file has
# one name in a line.
no_fork_names() {
	[ -r "$1" ] || fail "cannot read $1"
	sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' -e 's/^/,/' "$1" | tr -d '\n'
}

mode=link output= level=0 debug= strip= verbose= safepoints= no_fork= language= inputs=0
start_files=yes default_libraries=yes relocatable=
for word; do
	case $word in
		-shared) fail "shared libraries are not supported; link statically" ;;
		-c|-S|-E|-M|-MM|-fsyntax-only) mode=compile ;;
		-print-file-name=*|--print-file-name=*)
			f=${word#*=}
			if [ -e "$sysroot/lib/$f" ]; then f=$sysroot/lib/$f; fi
			printf '%s\n' "$f"
			exit 0 ;;
		-print-sysroot|--print-sysroot)
			printf '%s\n' "$sysroot"
			exit 0 ;;
		-print-libgcc-file-name|--print-libgcc-file-name)
			printf '%s\n' "$("$CLANG" -print-resource-dir)/lib/wasi/libclang_rt.builtins-wasm32.a"
			exit 0 ;;
		--version|-dumpversion|-dumpmachine|-print-*|--print-*|--help|'-###') mode=clang ;;
	esac
done
if [ $mode = link ]; then
	inputs=0
	for word; do
		case $word in -|[!-]*) inputs=1 ;; esac
	done
	# Without inputs, "clang -v" only tells about the compiler.
	if [ $inputs = 0 ]; then mode=clang; fi
fi
if [ $mode != link ]; then
	for word; do
		# binaryen, which post-processes programs, aborts on DWARF 5.
		case $word in -g0) ;; -g*) sjlj_flags="$sjlj_flags -gdwarf-4"; break ;; esac
	done
	# These are for linking only, and clang does not know them.
	for word; do
		shift
		case $word in -fsafepoints|-fno-safepoints|-fno-fork-in=*) ;; *) set -- "$@" "$word" ;; esac
	done
	[ $mode = compile ] || CCACHE=
	# -fno-pic at the end overrides a -fpic of the caller, because the
	# target has no use for PIC yet.
	exec $CCACHE "$CLANG" $target_flags $sjlj_flags $library_flags --sysroot="$sysroot" \
		-Wno-unused-command-line-argument "$@" -fno-pic
fi

next=
for word; do
	if [ -n "$next" ]; then
		case $next in
			output) output=$word ;;
			language)
				language=$word
				case $word in none) language= ;; *c++*) fail "libc++ is not built yet" ;; esac ;;
			compile) to_compile "$word" ;;
			link) linker_options "$word" ;;
			pair) linker_options "$pair" "$word" ;;
			library) to_link "$pair" "$word" ;;
		esac
		next=
		continue
	fi
	case $word in
		-o) next=output ;;
		-o?*) output=${word#-o} ;;
		-x) next=language ;;
		-x?*) language=${word#-x}; if [ "$language" = none ]; then language=; fi ;;
		-l|-L|-u) next=library pair=$word ;;
		-l*|-L*|-u*) to_link "$word" ;;
		-e|-z|-T) next=pair pair=$word ;;
		-Xlinker) next='link' ;;
		-Wl,*)
			words= rest=${word#-Wl,}
			while :; do
				quote "${rest%%,*}"
				words="$words $quoted"
				case $rest in *,*) rest=${rest#*,} ;; *) break ;; esac
			done
			eval "linker_options $words" ;;
		-I|-D|-U|-include|-imacros|-isystem|-iquote|-idirafter|-MF|-MT|-MQ|-Xclang|-mllvm|-Xpreprocessor|-Xassembler|--param|-A)
			to_compile "$word"
			next=compile ;;
		-fsafepoints) safepoints=yes ;;
		-fno-safepoints) safepoints= ;;
		-fno-fork-in=@*) no_fork=$no_fork$(no_fork_names "${word#*=@}") || exit ;;
		-fno-fork-in=*) no_fork=$no_fork,${word#*=} ;;
		-r) relocatable=yes ;;
		-nostdlib) start_files= default_libraries= ;;
		-nostartfiles) start_files= ;;
		-nodefaultlibs|-nolibc) default_libraries= ;;
		-s) strip=yes ;;
		-static|-pthread|-pthreads|-no-pie|-nopie|-rdynamic|-pie|-static-pie) ;;
		-v) verbose=yes ;;
		-O) level=2 to_compile "$word" ;;
		-O*) level=${word#-O}; to_compile "$word" ;;
		-g0) debug=; to_compile "$word" ;;
		# binaryen aborts on DWARF 5
		-g*) debug=yes; to_compile "$word" -gdwarf-4 ;;
		-)
			[ -n "$language" ] || fail "-x LANGUAGE is needed to compile the standard input"
			quote "$language"; sources="$sources source $quoted -"
			to_link "@@source@@" ;;
		-*) to_compile "$word" ;;
		*)
			kind=object
			case $word in
				*.c|*.i|*.s|*.S|*.sx) kind=source ;;
				*.cc|*.cpp|*.cxx|*.C|*.c++|*.ii) fail "$word: libc++ is not built yet" ;;
			esac
			if [ -n "$language" ]; then kind=source; fi
			if [ $kind = source ]; then
				# A mark keeps the place of the object: objects
				# are linked in the order of the command line.
				quote "${language:-none}"; sources="$sources source $quoted"
				quote "$word"; sources="$sources $quoted"
				to_link "@@source@@"
			else
				[ -e "$word" ] || fail "no such file: $word"
				to_link "$word"
			fi ;;
	esac
done
[ -z "$next" ] || fail "the last option needs an argument"
output=${output:-a.out}
