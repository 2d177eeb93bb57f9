// Runs a workflow with the engine of Gitea's runner, without a Gitea. The runner's own
// `exec` takes no inputs of a dispatch, and opens a cache to the network.
//
// Standard input is JSON, see settings; the working directory is the repository.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"gitea.com/gitea/runner/act/model"
	"gitea.com/gitea/runner/act/runner"
	log "github.com/sirupsen/logrus"
)

type settings struct {
	Workflow string            `json:"workflow"`
	Inputs   map[string]any    `json:"inputs"`
	Vars     map[string]string `json:"vars"`
	Secrets  map[string]string `json:"secrets"`
	// The forge, as in http://127.0.0.1:3000: where owner/name of an action, and this repository, are found.
	Forge      string `json:"forge"`
	Repository string `json:"repository"`
	Sha        string `json:"sha"`
}

func run() error {
	var s settings
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		return err
	}
	planner, err := model.NewWorkflowPlanner(s.Workflow, true)
	if err != nil {
		return err
	}
	plan, err := planner.PlanEvent("workflow_dispatch")
	if err != nil {
		return err
	}
	directory, err := os.Getwd()
	if err != nil {
		return err
	}
	event := map[string]any{"inputs": s.Inputs}
	eventJSON, err := json.Marshal(event)
	if err != nil {
		return err
	}
	level := log.InfoLevel
	r, err := runner.New(&runner.Config{
		JobLoggerLevel:        &level,
		Workdir:               directory,
		LogOutput:             true,
		Env:                   map[string]string{"GITEA_ACTIONS": "true"},
		Vars:                  s.Vars,
		Secrets:               s.Secrets,
		// As a forge gives one to each job.
		Token:                 s.Secrets["GITHUB_TOKEN"],
		GitHubInstance:        s.Forge,
		DefaultActionInstance: s.Forge,
		EventJSON:             string(eventJSON),
		PresetGitHubContext: &model.GithubContext{
			Event:           event,
			Token:           s.Secrets["GITHUB_TOKEN"],
			EventName:       "workflow_dispatch",
			RunID:           "17",
			RunNumber:       "3",
			RunAttempt:      "1",
			Actor:           "alice",
			Repository:      s.Repository,
			RepositoryOwner: strings.Split(s.Repository, "/")[0],
			Sha:             s.Sha,
			Ref:             "refs/heads/main",
			RefName:         "main",
			RefType:         "branch",
		},
		ContainerNamePrefix:  "gitea",
		ContainerMaxLifetime: time.Hour,
		PlatformPicker:       func([]string) string { return "-self-hosted" },
	})
	if err != nil {
		return err
	}
	return r.NewPlanExecutor(plan)(context.Background())
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}
