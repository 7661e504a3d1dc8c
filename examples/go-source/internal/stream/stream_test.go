package stream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"example.com/flowctl/transfer-source/internal/simulate"
)

func network() *simulate.Network { return simulate.New(1, []string{"XLM"}, 4) }

func TestRunWritesLines(t *testing.T) {
	var out bytes.Buffer
	sent, err := Run(context.Background(), network(), &out, Options{First: 10, Count: 6})
	if err != nil {
		t.Fatal(err)
	}
	lines, last := uint64(0), uint32(10)
	for scanner := bufio.NewScanner(&out); scanner.Scan(); lines++ {
		var transfer simulate.Transfer
		if err := json.Unmarshal(scanner.Bytes(), &transfer); err != nil {
			t.Fatalf("line %d: %v", lines+1, err)
		}
		if transfer.Ledger < last || transfer.Ledger > 15 {
			t.Fatalf("ledger %d after %d", transfer.Ledger, last)
		}
		last = transfer.Ledger
	}
	if sent.Ledgers != 6 || sent.Transfers != lines || lines == 0 {
		t.Errorf("sent %+v, read %d lines", sent, lines)
	}
}

func TestRunKeepsTheRate(t *testing.T) {
	started := time.Now()
	if _, err := Run(context.Background(), network(), &bytes.Buffer{}, Options{Count: 6, Rate: 100}); err != nil {
		t.Fatal(err)
	}
	if spent := time.Since(started); spent < 45*time.Millisecond {
		t.Errorf("6 ledgers at 100 a second took only %v", spent)
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	var out bytes.Buffer
	sent, err := Run(ctx, network(), &out, Options{Rate: 1000})
	if err != nil || sent.Ledgers == 0 {
		t.Fatalf("sent %+v, %v", sent, err)
	}
	if !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
		t.Error("the last line is not whole")
	}
}

func TestRunEndsWithTheLastSequence(t *testing.T) {
	sent, err := Run(context.Background(), network(), &bytes.Buffer{}, Options{First: math.MaxUint32 - 1})
	if err != nil || sent.Ledgers != 2 {
		t.Errorf("sent %+v, %v", sent, err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no reader") }

func TestRunSaysWhyItCannotWrite(t *testing.T) {
	if _, err := Run(context.Background(), network(), broken{}, Options{Count: 100}); err == nil {
		t.Error("no error")
	}
}
