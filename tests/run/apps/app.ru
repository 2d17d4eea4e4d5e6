# SPDX-License-Identifier: ISC
# The application of Rack servers; what it writes is what report.py says.

UNREAD = %w[GET HEAD OPTIONS DELETE TRACE CONNECT].freeze

def values(env, name)
  env.select { |key, _| key.downcase.gsub(/[^a-z0-9]/, "") == "http#{name}" }.values.join(", ")
end

app = lambda do |env|
  content = "-"
  begin
    content = env["rack.input"].read.bytesize unless UNREAD.include?(env["REQUEST_METHOD"])
  ensure
    told = [values(env, "xstunnelprobe"), values(env, "xforwardedfor")]
    line = ["SEEN", "-", "-", *told, content, "#{env["REQUEST_METHOD"]} #{env["PATH_INFO"]}"]
    $stdout.syswrite("#{line.map { |s| s.to_s.b }.join("|").gsub(/[\r\n]/n, "?")}\n")
  end
  status = env["REQUEST_METHOD"] == "CONNECT" ? 405 : 200
  body = env["REQUEST_METHOD"] == "HEAD" ? [] : ["ok"]
  [status, { "Content-Type" => "text/plain", "Content-Length" => "2" }, body]
end
run app
