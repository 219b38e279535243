using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>What a command line said and answered.</summary>
internal sealed record CliResult(int Code, string Out, string Error);

/// <summary>Runs command lines inside the test.</summary>
internal sealed class CliRun : IDisposable
{
    private readonly LockedWriter _out = new(null);
    private readonly LockedWriter _error;

    private readonly StillClock _signals = new();

    public CliRun()
    {
        _error = new LockedWriter(text => OnTalk?.Invoke(text));
        Interrupts = new Interrupts(_signals);
    }

    /// <summary>Sees each piece of talk as it is written.</summary>
    public Action<string>? OnTalk { get; init; }

    public bool Terminal { get; init; }

    public int Width { get; init; } = 100;

    public string Folder { get; init; } = "/home/me";

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public Dictionary<string, string> Variables { get; init; } = [];

    /// <summary>Its clock is the test's own: signals come as close together as the test says.</summary>
    public Interrupts Interrupts { get; }

    /// <summary>^C, and long enough after the last one to be another.</summary>
    public bool Interrupt()
    {
        _signals.Advance(1);
        return Interrupts.Signal();
    }

    public string ErrorSoFar => _error.ToString();

    public Shell Shell => new(_out, _error, Terminal, Terminal, Width, Folder, Variables.GetValueOrDefault, Time, Interrupts);

    public static CliRun Against(FakeDaemon daemon, bool terminal = false) =>
        new() { Terminal = terminal, Variables = new() { ["GODWIT_HOST"] = daemon.Address } };

    public async Task<CliResult> RunAsync(params string[] arguments)
    {
        var code = await CommandTree.RunAsync(Shell, arguments);
        return new CliResult(code, _out.ToString(), _error.ToString());
    }

    public void Dispose() => Interrupts.Dispose();

    // A test reads what was said so far while the command still runs.
    private sealed class LockedWriter : StringWriter
    {
        private readonly Lock _gate = new();

        private readonly Action<string>? _written;

        public LockedWriter(Action<string>? written)
        {
            _written = written;
            NewLine = "\n";
        }

        public override void Write(char value)
        {
            lock (_gate)
                base.Write(value);
        }

        public override void Write(string? value)
        {
            lock (_gate)
                base.Write(value);
            _written?.Invoke(value ?? "");
        }

        public override void WriteLine(string? value) => Write(value + "\n");

        public override string ToString()
        {
            lock (_gate)
                return base.ToString();
        }
    }
}
