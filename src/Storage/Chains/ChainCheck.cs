using Godwit.Storage.Formats;

namespace Godwit.Storage.Chains;

/// <summary>What a check of one layer found.</summary>
/// <param name="Path">The file.</param>
/// <param name="Report">What is wrong with it, and with its tie to its parent.</param>
public sealed record LayerReport(string Path, CheckReport Report);

/// <summary>Examines an image and every layer below it.</summary>
public static class ChainCheck
{
    /// <summary>Checks the layers one by one, from the image down, as far as parents are found. Never writes.</summary>
    /// <param name="path">The image.</param>
    /// <param name="options">How to find parents; always for reading only.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>A report for each layer; a parent that is missing or is another one is an error of its child, and paths to it that
    /// are out of date are a remark or a warning.</returns>
    /// <exception cref="StorageException">The image could not be opened or read.</exception>
    public static async ValueTask<IReadOnlyList<LayerReport>> RunAsync(
        string path, ChainOptions options, CancellationToken cancellationToken)
    {
        var reports = new List<LayerReport>();
        var paths = new List<string> { Path.GetFullPath(path) };
        StorageException? broken = null;
        IReadOnlyList<(string Path, CheckFinding Finding)> stale = [];
        try
        {
            var layers = await DiskChain.DescribeAsync(path, options, cancellationToken).ConfigureAwait(false);
            paths = [.. layers.Select(layer => layer.Path)];
            stale = RecordedPaths.Judge(layers, options.Paths);
        }
        catch (StorageException failure) when (IsOfTheChain(failure))
        {
            broken = failure;
            paths = await FollowAsync(path, failure.Path!, options, cancellationToken).ConfigureAwait(false);
        }

        for (var index = 0; index < paths.Count; index++)
        {
            var format = index == 0 ? options.Format : null;
            var report = await DiskImage.CheckAsync(paths[index], format, cancellationToken).ConfigureAwait(false);
            report = stale.Where(one => one.Path == paths[index]).Aggregate(report, static (all, one) => With(all, one.Finding));
            reports.Add(new LayerReport(paths[index], broken?.Path == paths[index] ? With(report, broken) : report));
        }

        return reports;
    }

    private static bool IsOfTheChain(StorageException failure) =>
        failure.Path is not null
        && failure.Kind is StorageErrorKind.ParentNotFound or StorageErrorKind.ParentMismatch or StorageErrorKind.Corrupt
            or StorageErrorKind.Unsupported or StorageErrorKind.AccessDenied or StorageErrorKind.InUse;

    /// <summary>The layers down to the one that the chain breaks at.</summary>
    private static async ValueTask<List<string>> FollowAsync(
        string path, string last, ChainOptions options, CancellationToken cancellationToken)
    {
        var paths = new List<string> { Path.GetFullPath(path) };
        while (paths[^1] != Path.GetFullPath(last) && paths.Count < options.MaxDepth)
        {
            var format = paths.Count == 1 ? options.Format : null;
            var description = await DiskImage.DescribeAsync(paths[^1], format, cancellationToken).ConfigureAwait(false);
            var next = description.Parent is ParentLink link ? ParentSearch.Find(paths[^1], link, options.Paths) : null;
            if (next is null || paths.Contains(next))
                break;
            paths.Add(next);
        }

        return paths;
    }

    private static CheckReport With(CheckReport report, StorageException broken)
    {
        // What the check of the file itself says already is not said twice.
        if (report.Findings.Any(finding => finding.Message == broken.Reason))
            return report;
        return With(report, new CheckFinding(CheckSeverity.Error, broken.Offset, broken.Reason));
    }

    private static CheckReport With(CheckReport report, CheckFinding finding) => report with
    {
        Findings = [.. report.Findings, finding],
        Errors = report.Errors + (finding.Severity == CheckSeverity.Error ? 1 : 0),
        Warnings = report.Warnings + (finding.Severity == CheckSeverity.Warning ? 1 : 0),
    };
}
