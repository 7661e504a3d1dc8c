// Package stream writes ledgers as lines of JSON, at a rate.
package stream

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"golang.org/x/time/rate"

	"example.com/flowctl/transfer-source/internal/simulate"
)

// Source makes the transfers of a ledger.
type Source interface {
	Ledger(sequence uint32) []simulate.Transfer
}

// Options says which ledgers, and how fast.
type Options struct {
	First uint32
	// Count is the number of ledgers; 0 has no end.
	Count uint64
	// Rate is in ledgers per second; 0 is as fast as possible.
	Rate float64
}

// Sent counts what was written.
type Sent struct {
	Ledgers   uint64
	Transfers uint64
}

// Run writes ledgers until there are enough or ctx ends. A ledger is written whole or not at all, and flushed at
// once: who stops the program after a line was read loses nothing.
func Run(ctx context.Context, source Source, out io.Writer, options Options) (Sent, error) {
	var sent Sent
	limit := rate.Inf
	if options.Rate > 0 {
		limit = rate.Limit(options.Rate)
	}
	limiter := rate.NewLimiter(limit, 1)
	buffer := bufio.NewWriterSize(out, 1<<16)
	encoder := json.NewEncoder(buffer)
	for sequence := options.First; options.Count == 0 || sent.Ledgers < options.Count; sequence++ {
		if ctx.Err() != nil || limiter.Wait(ctx) != nil {
			return sent, nil
		}
		ledger := source.Ledger(sequence)
		for _, transfer := range ledger {
			if err := encoder.Encode(transfer); err != nil {
				return sent, fmt.Errorf("ledger %d: %w", sequence, err)
			}
		}
		if err := buffer.Flush(); err != nil {
			return sent, fmt.Errorf("ledger %d: %w", sequence, err)
		}
		sent.Ledgers++
		sent.Transfers += uint64(len(ledger))
		if sequence == math.MaxUint32 {
			return sent, nil
		}
	}
	return sent, nil
}
