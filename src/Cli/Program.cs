using System.Runtime.InteropServices;
using System.Text;
using Godwit.Api;
using Godwit.Cli;

var encoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
await using var output = new StreamWriter(Console.OpenStandardOutput(), encoding, bufferSize: 16 * 1024);
await using var error = new StreamWriter(Console.OpenStandardError(), encoding) { AutoFlush = true };
using var interrupts = new Interrupts(TimeProvider.System);
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = interrupts.Signal());
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => context.Cancel = interrupts.Signal());

var shell = new Shell(
    output, error, !Console.IsOutputRedirected, !Console.IsErrorRedirected, TerminalWidth(), Environment.CurrentDirectory,
    Environment.GetEnvironmentVariable, TimeProvider.System, interrupts);
try
{
    return await CommandTree.RunAsync(shell, args);
}
catch (Exception e) when (Environment.GetEnvironmentVariable("GODWIT_TRACE") is null)
{
    // Everything expected has been told by the command itself: this is a defect.
    new Talk(shell, quiet: false).Fail(new Problem(
        ErrorCode.Internal, $"defect in godwit: {e.GetType().Name}: {e.Message}",
        "please report it with the output of the same command under GODWIT_TRACE=1"));
    return ExitCode.Failed;
}

// stderr carries the progress bar; when it is no terminal the width is not used.
static int TerminalWidth()
{
    try
    {
        return Console.IsErrorRedirected || Console.WindowWidth < 20 ? 80 : Console.WindowWidth;
    }
    catch (IOException)
    {
        return 80;
    }
}
