. ./lib/greet.sh
test "$(greet "two words")" = "hello two words"
