package settings

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func environment(variables map[string]string) Lookup {
	return func(name string) (string, bool) {
		value, found := variables[name]
		return value, found
	}
}

func TestRead(t *testing.T) {
	standard := Settings{Rate: 1, StartLedger: 1, TransfersPerLedger: 5, Assets: []string{"XLM", "USDC"}, Seed: 1}
	with := func(change func(*Settings)) Settings {
		changed := standard
		change(&changed)
		return changed
	}
	cases := []struct {
		name      string
		args      []string
		variables map[string]string
		want      Settings
	}{
		{name: "defaults", want: standard},
		{
			name: "flags",
			args: []string{"--rate", "0", "--ledgers=10", "--assets", "EURC"},
			want: with(func(s *Settings) { s.Rate, s.Ledgers, s.Assets = 0, 10, []string{"EURC"} }),
		},
		{
			name:      "variables",
			variables: map[string]string{"TRANSFERS_PER_LEDGER": "7", "ASSETS": "EURC,XLM", "SEED": ""},
			want:      with(func(s *Settings) { s.TransfersPerLedger, s.Assets = 7, []string{"EURC", "XLM"} }),
		},
		{
			name:      "a flag beats its variable",
			args:      []string{"--ledgers", "3", "--seed", "9"},
			variables: map[string]string{"LEDGERS": "4", "RATE": "2.5"},
			want:      with(func(s *Settings) { s.Ledgers, s.Seed, s.Rate = 3, 9, 2.5 }),
		},
		{
			name:      "a list beats its variable whole",
			args:      []string{"--assets", "EURC"},
			variables: map[string]string{"ASSETS": "XLM"},
			want:      with(func(s *Settings) { s.Assets = []string{"EURC"} }),
		},
		{
			name: "describe",
			args: []string{"--describe-json"},
			want: with(func(s *Settings) { s.DescribeJSON = true }),
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Read(c.args, environment(c.variables), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	cases := map[string]struct {
		args      []string
		variables map[string]string
		says      string
	}{
		"a negative rate":      {args: []string{"--rate", "-1"}, says: "rate is -1"},
		"a negative number":    {args: []string{"--transfers-per-ledger", "-2"}, says: "cannot be negative"},
		"no assets":            {args: []string{"--assets", ""}, says: "assets is empty"},
		"an unknown flag":      {args: []string{"--speed", "1"}, says: "unknown flag"},
		"an argument":          {args: []string{"fast"}, says: `unexpected argument "fast"`},
		"a variable's content": {variables: map[string]string{"LEDGERS": "many"}, says: `LEDGERS="many"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Read(c.args, environment(c.variables), io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error with %q", err, c.says)
			}
		})
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	var usage strings.Builder
	if _, err := Read([]string{"--help"}, environment(nil), &usage); !errors.Is(err, pflag.ErrHelp) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(usage.String(), "--transfers-per-ledger") {
		t.Errorf("usage does not name the flags:\n%s", usage.String())
	}
}
