using Godwit.Storage.Files;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Repair;

/// <summary>Tells which findings of a check a repair would mend, by working the repair out on a draft. Never writes.</summary>
public static class RepairForecast
{
    /// <summary>The same report with a remedy for each finding that has one.</summary>
    /// <param name="path">The file; nobody may have it open for writing.</param>
    /// <param name="format">What it is; null to tell it by its content and name.</param>
    /// <param name="report">What a check found.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">The file could not be read.</exception>
    public static async ValueTask<CheckReport> AddAsync(
        string path, ImageFormat? format, CheckReport report, CancellationToken cancellationToken)
    {
        if (report is { Errors: 0, Warnings: 0 })
            return report;
        var file = LocalFile.Open(path, readOnly: true);
        await using (file.ConfigureAwait(false))
            return await AddAsync(file, format, report, cancellationToken).ConfigureAwait(false);
    }

    internal static async ValueTask<CheckReport> AddAsync(
        IStorageFile file, ImageFormat? format, CheckReport report, CancellationToken cancellationToken)
    {
        try
        {
            var safe = await ImageRepair.PlanAsync(file, new RepairOptions { Format = format }, cancellationToken).ConfigureAwait(false);
            var lossy = safe.NeedsLossy
                ? await ImageRepair.PlanAsync(file, new RepairOptions { Format = format, Lossy = true }, cancellationToken).ConfigureAwait(false)
                : safe;
            return report with
            {
                Findings = [.. report.Findings.Select(finding => finding with
                {
                    Remedy = Mends(safe, finding) ? CheckRemedy.Repair : Mends(lossy, finding) ? CheckRemedy.RepairLossy : CheckRemedy.None,
                })],
            };
        }
        catch (StorageException none) when (none.Kind == StorageErrorKind.Unsupported)
        {
            return report;
        }
    }

    /// <summary>It is gone afterwards, and no other has come to its place. What the check of the file alone does not say, such as that
    /// its parent is missing, is none of a repair's business; only that nothing could be read at all is.</summary>
    private static bool Mends(RepairPlan plan, CheckFinding finding)
    {
        if (!plan.ChangesFile || finding.Severity == CheckSeverity.Information)
            return false;
        if (plan.Before.Findings.Contains(finding))
            return !plan.After.Findings.Any(left => left.Severity == finding.Severity && left.Offset == finding.Offset);
        return finding.Offset == 0 && !plan.Before.IsSound && plan.After.IsSound;
    }
}
