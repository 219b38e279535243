using System.Globalization;
using System.Text.Json;
using Godwit.Api.Disks;
using Godwit.Storage;
using Godwit.Storage.Formats;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk map</summary>
internal static class DiskMap
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var path = DiskCommands.PathArgument();
        var format = DiskCommands.ExpectedFormatOption();
        var verb = new Verb(
            "map", "Lists what is allocated where, as the guest sees it",
            "godwit disk map data.vhdx")
        {
            path, format,
        };
        verb.AddJson("Write an array of runs as JSON");
        verb.Does(shell, global, (session, cancellationToken) => RunAsync(
            session, session.Shell.AbsolutePath(session.Get(path)), session.Get(format), cancellationToken));
        return verb;
    }

    /// <summary>Every run of a device in order; neighbours of one kind are one run.</summary>
    public static async IAsyncEnumerable<Extent> ReadAsync(
        BlockDevice device, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var run = new Extent(0, 0, ExtentKind.Data);
        while (run.End < device.Length)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var next = await device.GetExtentAsync(run.End, device.Length - run.End, cancellationToken);
            if (next.Kind == run.Kind || run.Length == 0)
            {
                run = new Extent(run.Offset, run.Length + next.Length, next.Kind);
                continue;
            }

            yield return run;
            run = next;
        }

        if (run.Length > 0)
            yield return run;
    }

    private static async Task<int> RunAsync(Session session, string path, DiskFormat? format, CancellationToken cancellationToken)
    {
        await ImageNames.RequireContentAsync(path, format, cancellationToken);
        await using var device = await DiskImage.OpenAsync(path, ImageFormats.ToImage(format), readOnly: true, cancellationToken);
        if (session.Json)
            await WriteJsonAsync(session.Shell.Out, device, cancellationToken);
        else
            await WriteTableAsync(session, device, cancellationToken);
        return ExitCode.Ok;
    }

    // One run per line, written as it is read: a large disk has millions of them.
    private static async Task WriteJsonAsync(TextWriter writer, BlockDevice device, CancellationToken cancellationToken)
    {
        var separator = "[";
        await foreach (var run in ReadAsync(device, cancellationToken))
        {
            var line = JsonSerializer.Serialize(new DiskExtent(run.Offset, run.Length, run.Kind), CliJson.Default.DiskExtent);
            await writer.WriteAsync($"{separator}{Environment.NewLine}  {line}");
            separator = ",";
        }

        await writer.WriteLineAsync(separator == "[" ? "[]" : $"{Environment.NewLine}]");
    }

    private static async Task WriteTableAsync(Session session, BlockDevice device, CancellationToken cancellationToken)
    {
        var writer = session.Shell.Out;
        var width = Math.Max("LENGTH".Length, device.Length.ToString(CultureInfo.InvariantCulture).Length);
        await writer.WriteLineAsync(session.Paint.Bold($"{"START".PadLeft(width)}  {"LENGTH".PadLeft(width)}  KIND"));
        await foreach (var run in ReadAsync(device, cancellationToken))
            await writer.WriteLineAsync($"{Cell(run.Offset)}  {Cell(run.Length)}  {run.Kind}");

        string Cell(long value) => value.ToString(CultureInfo.InvariantCulture).PadLeft(width);
    }
}
