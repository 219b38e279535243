using System.CommandLine;
using Godwit.Api;

namespace Godwit.Cli;

/// <summary>The options every command takes.</summary>
internal sealed class GlobalOptions
{
    /// <summary>Which godwitd to talk to.</summary>
    public Option<string?> Host { get; } = new("--host")
    {
        Description = $"godwitd to talk to: unix:PATH or https://HOST:PORT (else GODWIT_HOST, else {GodwitAddress.Default})",
        HelpName = "ADDRESS",
        Recursive = true,
    };

    /// <summary>Whose word is taken for who a godwitd on the network is.</summary>
    public Option<string?> Authority { get; } = new("--ca")
    {
        Description = "Authority of the host, for https: ca-cert.pem of its godwitd (else GODWIT_CA)",
        HelpName = "FILE",
        Recursive = true,
    };

    /// <summary>Errors only on stderr.</summary>
    public Option<bool> Quiet { get; } = new("--quiet", "-q")
    {
        Description = "Say nothing but errors; no progress",
        Recursive = true,
    };
}
