# SPDX-License-Identifier: Apache-2.0
# timeout: 120
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
git init -q -b main repo && cd repo
for i in $(seq 60); do seq $i $((i + 50)) > f$i; done
git add . && git commit -qm first && git log --oneline
for i in 1 2 3; do echo change $i >> f$i; git commit -qam "change $i"; done
git log --stat | tail -5; git status --short; git rev-parse HEAD
git checkout -qb topic HEAD~1 && echo t > topic && git add topic && git commit -qm topic && git merge -q --no-edit main && git log --oneline | wc -l
git diff main | head -8; git tag v1; git gc -q && git fsck 2>&1; git count-objects | cut -d, -f1
cd .. && git clone -q repo clone && cd clone && git log --oneline | head -2 && git branch -a
echo dirty >> f1; git stash -q; git stash pop -q; git diff --stat; git blame f2 | head -1 | cut -c1-8; git grep -c 50 | head -3
