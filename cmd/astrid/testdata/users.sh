# Two users of one machine, each with a session of the same name, do not meet.
# users_test.go runs it as root in a mount namespace of its own.
set -eu
# A copy of a view of another test would keep its server from ending.
awk '$3 ~ /^fuse\.astrid/ { print $2 }' /proc/self/mounts | xargs -r -n1 umount -l
mount --bind "$DEVICE" /dev/fuse
one=65534 two=1 # nobody and daemon: fusermount3 wants users that have a name

as() {
	uid=$1
	shift
	(cd "$WORK/$uid" && exec timeout 60 setpriv --reuid "$uid" --regid "$uid" --clear-groups env -i \
		HOME="$WORK/$uid" ASTRID_HOME="$WORK/$uid/h" PATH="$BIN:/usr/bin:/bin" "$@")
}

refused() {
	if as "$@" 2>"$WORK/said" >&2; then
		echo "not refused: $*"
		exit 1
	fi
}

end() {
	status=$?
	trap - EXIT
	as $two astrid down --session theirs --force >/dev/null 2>&1 || true
	for uid in $one $two; do as $uid astrid down --session w --force >/dev/null 2>&1 || true; done
	exit $status
}
trap end EXIT

for uid in $one $two; do
	install -d -o $uid -g $uid -m 755 "$WORK/$uid" "$WORK/$uid/base"
	as $uid sh -c 'echo "of $(id -u)" >base/f'
	as $uid astrid up --session w base >"$WORK/view.$uid"
	as $uid sh -c 'echo written >>"$(astrid path)"/f'
done
view=$(cat "$WORK/view.$one")

# The other's home is closed; opened up by carelessness, the view still is.
refused $two cat "$view/f"
for dir in h h/sessions h/sessions/w; do chmod 755 "$WORK/$one/$dir"; done
refused $two cat "$view/f"
grep -q 'Permission denied' "$WORK/said"
refused $two ls "$view"
refused $two sh -c "echo x >'$view/new'"

# Neither the socket nor the token of the other is anybody's.
refused $two env ASTRID_HOME="$WORK/$one/h" astrid status
refused $two env ASTRID_HOME="$WORK/$one/h" astrid commit
refused $two cat "$WORK/$one/h/sessions/system.token"
refused $two cat "$WORK/$one/h/sessions/ctl/status"

# Each commits what is their own.
as $one astrid commit >/dev/null
test "$(cat "$WORK/$one/base/f")" = "of $one
written"
test "$(cat "$WORK/$two/base/f")" = "of $two"
as $two astrid changes | grep -q '^M f'

# A view of what is another's lets nobody do more than that would.
as $two astrid up --session theirs "$WORK/$one/base" >"$WORK/view.theirs"
as $two cat "$(cat "$WORK/view.theirs")/f" >/dev/null
refused $two sh -c "echo new >'$(cat "$WORK/view.theirs")/new'"
