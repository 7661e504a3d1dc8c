. ./lib/greet.sh
test "$(greet you)" = "hello you"
