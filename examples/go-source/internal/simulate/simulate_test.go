package simulate

import (
	"fmt"
	"reflect"
	"testing"
)

func TestEqualSeedsMakeEqualLedgers(t *testing.T) {
	assets := []string{"XLM", "USDC"}
	one, other := New(7, assets, 5), New(7, assets, 5)
	one.Ledger(3) // what was asked for before makes no difference
	for sequence := uint32(1); sequence < 50; sequence++ {
		if !reflect.DeepEqual(one.Ledger(sequence), other.Ledger(sequence)) {
			t.Fatalf("ledger %d differs", sequence)
		}
	}
	if reflect.DeepEqual(one.Ledger(1), New(8, assets, 5).Ledger(1)) {
		t.Error("another seed makes the same ledger")
	}
}

func TestTransfersAreWellFormed(t *testing.T) {
	network := New(1, []string{"EURC"}, 20)
	seen := map[string]bool{}
	for sequence := uint32(1); sequence <= 100; sequence++ {
		for _, transfer := range network.Ledger(sequence) {
			if transfer.From == transfer.To {
				t.Fatalf("%s goes from an account to itself", transfer.ID)
			}
			if len(transfer.From) != 56 || transfer.From[0] != 'G' {
				t.Fatalf("%q is no account", transfer.From)
			}
			if transfer.Asset != "EURC" || transfer.Ledger != sequence || seen[transfer.ID] {
				t.Fatalf("not well-formed: %+v", transfer)
			}
			seen[transfer.ID] = true
		}
	}
	// Uniform over 0…40 a ledger: 2000 expected, 118 standard deviation.
	if len(seen) < 1400 || len(seen) > 2600 {
		t.Errorf("%d transfers in 100 ledgers, want about 2000", len(seen))
	}
}

func TestNoTransfers(t *testing.T) {
	if ledger := New(1, []string{"XLM"}, 0).Ledger(1); len(ledger) != 0 {
		t.Errorf("got %v", ledger)
	}
}

func ExampleAmount() {
	fmt.Println(Amount(1), Amount(10_000_000), Amount(123_456_789_012))
	// Output: 0.0000001 1.0000000 12345.6789012
}
