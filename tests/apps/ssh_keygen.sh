# SPDX-License-Identifier: Apache-2.0
for t in ed25519 ecdsa rsa; do
	ssh-keygen -q -t $t -b $([ $t = rsa ] && echo 2048 || echo 256) -N '' -C comment -f k_$t </dev/null; echo "$t $?"
	ssh-keygen -lf k_$t.pub | sed 's/SHA256:[^ ]*/HASH/'; stat -c '%a' k_$t
	ssh-keygen -yf k_$t | cut -d' ' -f1,2 | cmp - <(cut -d' ' -f1,2 k_$t.pub) && echo public
done
ssh-keygen -q -p -N secret -f k_ed25519; ssh-keygen -yf k_ed25519 -P wrong 2>&1 | sed 's/.*: //' | head -1; ssh-keygen -yP secret -f k_ed25519 | cut -d' ' -f1
echo data > d; ssh-keygen -q -Y sign -n file -f k_ecdsa d; echo "me $(cat k_ecdsa.pub)" > allowed
ssh-keygen -Y verify -f allowed -I me -n file -s d.sig < d | sed 's/SHA256:.*/HASH/'
echo other | ssh-keygen -Y verify -f allowed -I me -n file -s d.sig >/dev/null 2>&1; echo "forged $?"
ssh-keygen -q -s k_rsa -I id -n user k_ed25519.pub; ssh-keygen -Lf k_ed25519-cert.pub | sed -n 2p
eval "$(ssh-agent)" >/dev/null; ssh-add -q k_ecdsa k_rsa; ssh-add -l | wc -l; ssh-add -L | cut -d' ' -f1; ssh-add -qD; ssh-add -l; kill $SSH_AGENT_PID; echo "agent $?"
