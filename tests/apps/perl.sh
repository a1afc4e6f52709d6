# SPDX-License-Identifier: Apache-2.0
perl -e 'use strict; my %h; $h{$_ % 7} += $_ for 1..1000; print join(",", map { "$_=$h{$_}" } sort keys %h), "\n";'
perl -e '$SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; select undef, undef, undef, 5 }; print "caught $@";'
perl -e 'pipe(R, W); if (!fork) { close R; print W "from child\n"; exit 3 } close W; print <R>; wait; print $? >> 8, "\n";'
perl -MPOSIX -e 'print POSIX::strftime("%Y", gmtime(0)), " ", POSIX::floor(2.7), "\n"; print((POSIX::uname())[0], "\n");'
perl -MSocket -e 'socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die; syswrite $a, "ping"; sysread $b, my $x, 10; print "$x\n";'
perl -MFile::Temp=tempfile -MFile::Find -e 'my ($fh, $n) = tempfile(DIR => "."); print $fh "x" x 1000; close $fh; print -s $n, "\n"; unlink $n; my $c = 0; find(sub { $c++ }, "/usr/share/perl/" . sprintf("%vd", $^V) =~ s/\.\d+$//r); print $c > 100 ? "many\n" : "few\n";'
perl -e 'open my $p, "-|", "echo sub; exit 2" or die; print <$p>; close $p; print $? >> 8, "\n"; print `echo back`; system("exit 5"); print $? >> 8, "\n"'
perl -e 'exit 9'; echo $?
