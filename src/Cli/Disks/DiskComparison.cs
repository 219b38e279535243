using System.CommandLine;
using System.Globalization;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk compare</summary>
internal sealed class DiskComparison
{
    // Enough to tell a few changed sectors from two different disks.
    private const long Enough = 1 << 20;

    private readonly Argument<string> _first = DiskCommands.PathArgument("FIRST", "An image file");
    private readonly Argument<string> _second = DiskCommands.PathArgument("SECOND", "The image file to compare it with");
    private readonly Option<DiskFormat?> _firstFormat = DiskCommands.ExpectedFormatOption("--format-first");
    private readonly Option<DiskFormat?> _secondFormat = DiskCommands.ExpectedFormatOption("--format-second");
    private readonly ChainArguments _chain = new();
    private readonly Option<bool> _all = new("--all") { Description = "Count every differing byte; else it stops at about 1 MiB of them" };

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new DiskComparison();
        var verb = new Verb(
            "compare", "Compares what two disks hold, whatever their formats", "godwit disk compare old.vhd new.vhdx")
        {
            options._first, options._second, options._firstFormat, options._secondFormat, options._all,
        };
        options._chain.AddTo(verb);
        verb.AddJson("Write what was found as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            try
            {
                return await options.RunAsync(session, cancellationToken);
            }
            catch (StorageException e) when (e.Kind != StorageErrorKind.NotFound)
            {
                // Not to be taken for "they differ".
                session.Talk.EndProgress();
                session.Talk.Fail(Failure.Describe(e));
                return ExitCode.NotChecked;
            }
        });
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var (first, second) = (session.Shell.AbsolutePath(session.Get(_first)), session.Shell.AbsolutePath(session.Get(_second)));
        await using var a = await _chain.OpenAsync(session, first, session.Get(_firstFormat), readOnly: true, cancellationToken);
        await using var b = await _chain.OpenAsync(session, second, session.Get(_secondFormat), readOnly: true, cancellationToken);
        var found = await new DiskCompare(a, b).RunAsync(
            session.Get(_all) ? null : Enough, new DataProgress(session, "Comparing").Show, cancellationToken);
        session.Talk.EndProgress();
        var report = new DiskCompareReport(
            first, second, found.Same, found.FirstLength, found.SecondLength, found.FirstDifference, found.DifferingBytes, found.IsComplete);
        if (!session.TryWriteJson(report, JsonText.Own.DiskCompareReport))
            Write(session, found);
        return found.Same ? ExitCode.Ok : ExitCode.Failed;
    }

    private static void Write(Session session, CompareResult found)
    {
        var writer = session.Shell.Out;
        if (found.FirstDifference is long at)
        {
            var some = found.IsComplete ? "" : "at least ";
            writer.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"different: first at offset {at} (0x{at:x}), {some}{found.DifferingBytes} bytes in all"));
        }
        else
        {
            writer.WriteLine("same content");
        }

        if (found.FirstLength == found.SecondLength)
            return;
        var rest = found.Same ? ", the rest of the longer one reads as zeroes" : "";
        writer.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"sizes differ: {found.FirstLength} and {found.SecondLength} bytes{rest}"));
    }
}
