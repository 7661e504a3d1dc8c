// Package simulate makes up a network's ledgers.
package simulate

import (
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	accounts = 24
	// stroop is the smallest amount: 10⁻⁷ of an asset.
	stroop  = 10_000_000
	largest = 5_000 * stroop
	// genesis is when ledger 0 closed, in seconds since 1970; a ledger closes every closing seconds.
	genesis = 1_700_000_000
	closing = 5
)

// Transfer is one event.
type Transfer struct {
	Type     string `json:"type"`
	ID       string `json:"id"`
	Ledger   uint32 `json:"ledger"`
	ClosedAt string `json:"closed_at"`
	Asset    string `json:"asset"`
	From     string `json:"from"`
	To       string `json:"to"`
	// Amount is a decimal with seven places; a number would lose digits on its way through JSON.
	Amount string `json:"amount"`
}

// Network makes ledgers; equal seeds make equal ledgers, whatever was asked for before.
type Network struct {
	seed      uint64
	assets    []string
	transfers int
	names     []string
}

// New is a network with that seed, those assets, and so many transfers in a ledger on average.
func New(seed uint64, assets []string, transfers int) *Network {
	random := rand.New(rand.NewPCG(seed, 0))
	names := make([]string, accounts)
	for i := range names {
		names[i] = address(random)
	}
	return &Network{seed: seed, assets: assets, transfers: transfers, names: names}
}

// Ledger is the transfers of one ledger.
func (n *Network) Ledger(sequence uint32) []Transfer {
	random := rand.New(rand.NewPCG(n.seed, uint64(sequence)+1))
	count := random.IntN(2*n.transfers + 1)
	closed := time.Unix(genesis+closing*int64(sequence), 0).UTC().Format(time.RFC3339)
	ledger := make([]Transfer, count)
	for i := range ledger {
		from := random.IntN(accounts)
		to := (from + 1 + random.IntN(accounts-1)) % accounts
		ledger[i] = Transfer{
			Type:     "token_transfer",
			ID:       fmt.Sprintf("%d-%d", sequence, i),
			Ledger:   sequence,
			ClosedAt: closed,
			Asset:    n.assets[random.IntN(len(n.assets))],
			From:     n.names[from],
			To:       n.names[to],
			Amount:   Amount(1 + random.Int64N(largest)),
		}
	}
	return ledger
}

// Amount spells a number of stroops as a decimal.
func Amount(stroops int64) string {
	return fmt.Sprintf("%d.%07d", stroops/stroop, stroops%stroop)
}

// address looks like an account's public key.
func address(random *rand.Rand) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	text := []byte{'G'}
	for len(text) < 56 {
		text = append(text, letters[random.IntN(len(letters))])
	}
	return string(text)
}
