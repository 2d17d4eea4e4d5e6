%% SPDX-License-Identifier: ISC
%% The application of Yaws; what it writes is what report.py says.
-module(report).
-export([out/1]).
-include_lib("yaws/include/yaws_api.hrl").

out(A) ->
    Fields = yaws_api:reformat_header(A#arg.headers),
    Lines = [string:split(lists:flatten(Field), ": ") || Field <- Fields],
    #http_request{method = Method, path = {abs_path, Path}} = A#arg.req,
    Told = [values(Lines, "xstunnelprobe"), values(Lines, "xforwardedfor"), content(A#arg.clidata)],
    Line = lists:join("|", ["SEEN", "-", "-"] ++ Told ++ [text(Method) ++ " " ++ Path]),
    ok = file:write_file(os:getenv("SEEN"), [lists:flatten(Line), "\n"], [append, raw]),
    [{status, status(text(Method))}, {content, "text/plain", "ok"}].

status("CONNECT") -> 405;
status(_) -> 200.

values(Lines, Alias) ->
    Told = fun(C) -> C >= $a andalso C =< $z orelse C >= $0 andalso C =< $9 end,
    Is = fun(Name) -> lists:filter(Told, string:lowercase(Name)) =:= Alias end,
    lists:join(", ", [Value || [Name, Value] <- Lines, Is(Name)]).

content(Data) when is_binary(Data) -> integer_to_list(byte_size(Data));
content(_) -> "-".

text(Method) when is_atom(Method) -> atom_to_list(Method);
text(Method) -> Method.
