# Starts a function in a container: `sh functions/start.sh upload`.
# To process 1 the kernel passes no signal that it has no handler for, and Python takes a second until it has one: told to
# end in that time, it would stay for the whole grace period. A shell has its handler at once.
trap 'told=1; kill $! 2> /dev/null' INT TERM
python -m medley.serve "$1" &
[ -z "$told" ] || kill $!
wait $!
code=$?
while kill -0 $! 2> /dev/null; do # told to end, it waits no more, and Python may still have a song in work
  wait $!
  code=$?
done
exit $code
