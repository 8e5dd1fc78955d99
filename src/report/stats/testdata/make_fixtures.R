# Makes proc.txt with R's pROC (Debian: r-cran-proc), an implementation of DeLong's method that is independent of ours:
#   Rscript make_fixtures.R > proc.txt
# Each line is a name and numbers. The aSAH data are those of Turck et al., Intensive Care Med. 36 (2010) 107-115, as
# published with pROC (Robin et al., BMC Bioinformatics 12 (2011) 77).
suppressMessages(library(pROC))
put <- function(name, values) cat(name, formatC(as.numeric(values), digits = 17, format = "g"), "\n")
direct <- function(y, s) roc(y, s, levels = c(0, 1), direction = "<", quiet = TRUE)
plain_interval <- function(r) ci.auc(r, method = "delong")[c(1, 3)]

data(aSAH)
y <- as.integer(aSAH$outcome == "Poor")
put("asah.positive", y)
for (name in c("s100b", "ndka", "wfns")) {
  scores <- as.numeric(aSAH[[name]])
  r <- direct(y, scores)
  put(paste0("asah.", name), scores)
  put(paste0("asah.", name, ".auc"), auc(r))
  put(paste0("asah.", name, ".variance"), var(r, method = "delong"))
  put(paste0("asah.", name, ".plain"), plain_interval(r))
}
pair <- function(a, b) {
  t <- roc.test(direct(y, as.numeric(aSAH[[a]])), direct(y, as.numeric(aSAH[[b]])), method = "delong", paired = TRUE)
  put(paste0("asah.", a, "_", b, ".z_p_low_high"), c(t$statistic, t$p.value, t$conf.int))
}
pair("s100b", "ndka")
pair("wfns", "s100b")

# Six models on the same 60 images (two arms of three repeats), with ties: scores are rounded.
set.seed(20)
n <- 60
y <- as.integer(runif(n) < 0.4)
common <- rnorm(n) + y
scores <- sapply(1:6, function(k) round(common + rnorm(n, sd = 0.7) + 0.15 * (k > 3) * y, 1))
rocs <- lapply(1:6, function(k) direct(y, scores[, k]))
covariance <- matrix(0, 6, 6)
for (i in 1:6) for (j in 1:6)
  covariance[i, j] <- if (i == j) var(rocs[[i]], method = "delong") else cov(rocs[[i]], rocs[[j]], method = "delong")
aucs <- sapply(rocs, auc)
put("six.positive", y)
put("six.scores", t(scores))  # image by image
put("six.auc", aucs)
put("six.covariance", covariance)

# Obuchowski and Rockette with R's own analysis of variance, and Hillis's degrees of freedom.
d <- data.frame(auc = aucs, arm = factor(rep(1:2, each = 3)), seed = factor(rep(1:3, 2)))
ms <- anova(lm(auc ~ arm + seed, d))["Residuals", "Mean Sq"]
same <- outer(d$arm, d$arm, "==")
other_seed <- outer(d$seed, d$seed, "!=")
cov2 <- mean(covariance[same & other_seed])
cov3 <- mean(covariance[!same & other_seed])
total <- ms + 3 * max(cov2 - cov3, 0)
se <- sqrt(2 / 3 * total)
df <- total^2 / (ms^2 / 2)
difference <- mean(aucs[1:3]) - mean(aucs[4:6])
put("six.or_difference_se_df_p", c(difference, se, df, 2 * pt(-abs(difference / se), df)))
put("six.or_low90_high90", difference + c(-1, 1) * qt(0.95, df) * se)
put("six.tost_p_margin_0.1", max(pt(-(difference + 0.1) / se, df), pt(-(0.1 - difference) / se, df)))
one <- var(aucs[1:3])
cov1arm <- max(mean(covariance[1:3, 1:3][other_seed[1:3, 1:3]]), 0)
put("six.or_mean_se_df", c(mean(aucs[1:3]), sqrt((one + 3 * cov1arm) / 3), (one + 3 * cov1arm)^2 / one^2 * 2))

# Clusters: Obuchowski (1997) from its definition, over all pairs of images, without ranks.
patient <- sample(1:25, n, replace = TRUE)
psi <- function(s) {
  p <- s[y == 1]; q <- s[y == 0]
  outer(p, q, function(a, b) (a > b) + 0.5 * (a == b))
}
obuchowski <- function(s1, s2) {
  a <- psi(s1); b <- psi(s2)
  m <- nrow(a); k <- ncol(a)
  by <- function(v, who) tapply(c(v, rep(0, 25)), c(who, 1:25), sum)
  x1 <- by(rowMeans(a) - mean(a), patient[y == 1]); x2 <- by(rowMeans(b) - mean(b), patient[y == 1])
  y1 <- by(colMeans(a) - mean(a), patient[y == 0]); y2 <- by(colMeans(b) - mean(b), patient[y == 0])
  i10 <- length(unique(patient[y == 1])); i01 <- length(unique(patient[y == 0])); i <- length(unique(patient))
  s10 <- i10 / ((i10 - 1) * m) * sum(x1 * x2)
  s01 <- i01 / ((i01 - 1) * k) * sum(y1 * y2)
  s11 <- i / (i - 1) * (sum(x1 * y2) + sum(x2 * y1))
  s10 / m + s01 / k + s11 / (m * k)
}
put("six.patient", patient)
put("six.clustered", c(obuchowski(scores[, 1], scores[, 1]), obuchowski(scores[, 1], scores[, 4]),
                       obuchowski(scores[, 4], scores[, 4])))
