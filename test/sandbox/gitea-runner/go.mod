module gitea-runner

go 1.26.0

require gitea.com/gitea/runner v1.0.8

require github.com/sirupsen/logrus v1.9.4
