#!/bin/sh
# SPDX-License-Identifier: MIT
# Every shell script of the tree parses.
set -eu
cd "$(dirname "$0")/../.."
git ls-files | while read -r file; do
	[ -f "$file" ] || continue
	case $(head -c 64 "$file" | head -n 1 | tr -d '\0') in
	'#!/bin/sh'*) sh -n "$file" ;;
	*bash*) bash -n "$file" ;;
	esac
done
