# SPDX-License-Identifier: ISC
# The application of PSGI servers; what it writes is what report.py says.
use strict;
use warnings;

my %unread = map { $_ => 1 } qw(GET HEAD OPTIONS DELETE TRACE CONNECT);

sub values_of {
    my ($env, $name) = @_;
    return join ', ', map { $env->{$_} } grep { lc(s/[^A-Za-z0-9]//gr) eq "http$name" } keys %$env;
}

sub {
    my $env     = shift;
    my $content = '-';
    if (!$unread{ $env->{REQUEST_METHOD} }) {
        $content = 0;
        while (my $more = $env->{'psgi.input'}->read(my $data, 65536)) { $content += $more }
    }
    my $line = join '|', 'SEEN', '-', '-', values_of($env, 'xstunnelprobe'),
        values_of($env, 'xforwardedfor'), $content, "$env->{REQUEST_METHOD} $env->{REQUEST_URI}";
    $line =~ tr/\r\n/?/;
    syswrite STDOUT, "$line\n";
    my $status = $env->{REQUEST_METHOD} eq "CONNECT" ? 405 : 200;
    my @content = $env->{REQUEST_METHOD} eq 'HEAD' ? () : 'ok';
    return [$status, ['Content-Type' => 'text/plain', 'Content-Length' => 2], [@content]];
};
