package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"example.com/flowctl/transfer-source/internal/settings"
)

func none(string) (string, bool) { return "", false }

func TestRunEmitsTransfers(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), []string{"--rate=0", "--ledgers=5", "--assets=EURC"}, none, &stdout, &stderr)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	for _, line := range lines {
		if !strings.Contains(line, `"asset":"EURC"`) {
			t.Errorf("unexpected line %s", line)
		}
	}
	if !strings.Contains(stderr.String(), "in 5 ledgers") {
		t.Errorf("stderr: %s", &stderr)
	}
}

func TestRunRefusesBadSettings(t *testing.T) {
	var stderr bytes.Buffer
	if code := run(context.Background(), []string{"--rate=fast"}, none, &bytes.Buffer{}, &stderr); code != 2 {
		t.Errorf("exit code %d", code)
	}
}

func TestMetadataAgreesWithTheFlags(t *testing.T) {
	var stdout, usage bytes.Buffer
	if code := run(context.Background(), []string{"--describe-json"}, none, &stdout, &usage); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	var described struct {
		Name   string                          `json:"name"`
		Type   string                          `json:"type"`
		Env    map[string]string               `json:"env_mapping"`
		Config map[string]struct{ Env string } `json:"config_schema"`
		Output []string                        `json:"output_types"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &described); err != nil {
		t.Fatal(err)
	}
	if described.Name != "transfer-source" || described.Type != "source" || len(described.Output) != 1 {
		t.Errorf("described as %+v", described)
	}
	run(context.Background(), []string{"--help"}, none, &bytes.Buffer{}, &usage)
	for key, schema := range described.Config {
		flag := strings.ReplaceAll(key, "_", "-")
		if !strings.Contains(usage.String(), "--"+flag+" ") {
			t.Errorf("%s is described, there is no --%s", key, flag)
		}
		if schema.Env != settings.Variable(flag) || described.Env[key] != schema.Env {
			t.Errorf("%s: the variable is %s", key, settings.Variable(flag))
		}
	}
}
