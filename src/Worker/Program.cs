using System.Runtime.InteropServices;
using Godwit.Api;
using Godwit.Worker;
using Godwit.Worker.Images;
using Godwit.Worker.Interop;
using Godwit.Worker.Logging;
using Godwit.Worker.Sandbox;
using Godwit.Worker.Serving;
using Godwit.Worker.Supervision;

Hardening.Apply();
try
{
    return WorkerOptions.Parse(args) switch
    {
        WorkerOptions.Supervise supervise => Supervise(supervise),
        WorkerOptions.Serve serve => await WorkerProcess.RunAsync(serve, TimeProvider.System).ConfigureAwait(false),
        WorkerOptions.TrySandbox { Limits: { } limits } sandbox => SandboxTrial.Try(sandbox.Folders, limits, Console.Out),
        WorkerOptions.TrySandbox sandbox => SandboxTrial.Run(sandbox.Folders),
        WorkerOptions.ImageDescribe image => await ImageCommand.DescribeAsync(image, Console.Out).ConfigureAwait(false),
        WorkerOptions.ImageCreate image => await ImageCommand.CreateAsync(image, Console.Out).ConfigureAwait(false),
        WorkerOptions.ImageCreateChild image => await ImageCommand.CreateChildAsync(image, Console.Out).ConfigureAwait(false),
        WorkerOptions.ImageMerge image => await ImageCommand.MergeAsync(image, Console.Out).ConfigureAwait(false),
        _ => Say(Console.Out, WorkerOptions.Usage, 0),
    };
}
catch (GodwitException e) when (e.Problem.Remedy == WorkerOptions.Usage)
{
    return Say(Console.Error, $"godwit-worker: {e.Problem.Title}\n\n{WorkerOptions.Usage}", 2);
}
catch (GodwitException e)
{
    var remedy = e.Problem.Remedy is { } text ? $" ({text})" : "";
    return Say(Console.Error, $"godwit-worker: {e.Problem.Title}{remedy}", 1);
}

static int Supervise(WorkerOptions.Supervise options)
{
    using var supervisor = new Supervisor(options.Folders, options.Inherited, TimeProvider.System);
    // Fails only for the leader of a process group, as which a shell starts us: then the signals below are what counts.
    _ = LibC.StartSession();
    using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Ignore);
    using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Ignore);
    using var quit = PosixSignalRegistration.Create(PosixSignal.SIGQUIT, Ignore);
    using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
    {
        context.Cancel = true;
        supervisor.Stop();
    });
    supervisor.TakeOver();
    StandardStreams.Detach(new LogFile(options.Folders.Log).Open());
    return supervisor.Run();
}

static void Ignore(PosixSignalContext context) => context.Cancel = true;

static int Say(TextWriter where, string text, int exitCode)
{
    where.WriteLine(text);
    return exitCode;
}
