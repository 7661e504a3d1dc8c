// Package settings reads flags and environment variables; a flag beats its variable.
package settings

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// Lookup finds an environment variable, as os.LookupEnv does.
type Lookup func(name string) (string, bool)

// Settings is what the user can choose.
type Settings struct {
	// Rate is in ledgers per second; 0 is as fast as possible.
	Rate float64
	// Ledgers is how many to emit; 0 goes on until a signal comes.
	Ledgers uint64
	// StartLedger is the sequence number of the first ledger.
	StartLedger uint32
	// TransfersPerLedger is the mean; each ledger has between none and twice as many.
	TransfersPerLedger int
	// Assets are the codes to transfer.
	Assets []string
	// Seed makes a run repeatable: equal seeds emit equal transfers.
	Seed uint64
	// DescribeJSON prints metadata.json instead of events.
	DescribeJSON bool
}

// Read takes settings from the flags, and what they leave open from the environment.
func Read(args []string, lookup Lookup, usage io.Writer) (Settings, error) {
	var s Settings
	flags := pflag.NewFlagSet("transfer-source", pflag.ContinueOnError)
	flags.SetOutput(usage)
	flags.Float64Var(&s.Rate, "rate", 1, "ledgers per second, 0 for as fast as possible")
	flags.Uint64Var(&s.Ledgers, "ledgers", 0, "how many ledgers to emit, 0 for no end")
	flags.Uint32Var(&s.StartLedger, "start-ledger", 1, "sequence number of the first ledger")
	flags.IntVar(&s.TransfersPerLedger, "transfers-per-ledger", 5, "mean number of transfers in a ledger")
	flags.StringSliceVar(&s.Assets, "assets", []string{"XLM", "USDC"}, "codes of the assets, comma-separated")
	flags.Uint64Var(&s.Seed, "seed", 1, "equal seeds emit equal transfers")
	flags.BoolVar(&s.DescribeJSON, "describe-json", false, "print metadata.json and exit")

	if err := flags.Parse(args); err != nil {
		return Settings{}, err
	}
	if flags.NArg() > 0 {
		return Settings{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := fromEnvironment(flags, lookup); err != nil {
		return Settings{}, err
	}
	return s, s.check()
}

// Variable is the environment variable of a flag: transfers-per-ledger is TRANSFERS_PER_LEDGER.
func Variable(flag string) string {
	return strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func fromEnvironment(flags *pflag.FlagSet, lookup Lookup) error {
	var failed error
	flags.VisitAll(func(flag *pflag.Flag) {
		value, found := lookup(Variable(flag.Name))
		if flag.Changed || !found || value == "" || failed != nil || flag.Name == "describe-json" {
			return
		}
		if err := flag.Value.Set(value); err != nil {
			failed = fmt.Errorf("%s=%q: %w", Variable(flag.Name), value, err)
		}
	})
	return failed
}

func (s Settings) check() error {
	switch {
	case s.Rate < 0:
		return fmt.Errorf("rate is %g, it cannot be negative", s.Rate)
	case s.TransfersPerLedger < 0:
		return fmt.Errorf("transfers-per-ledger is %d, it cannot be negative", s.TransfersPerLedger)
	case len(s.Assets) == 0:
		return fmt.Errorf("assets is empty, name at least one")
	}
	return nil
}
